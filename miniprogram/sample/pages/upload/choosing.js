// The chosen files in one format: {path, name, given, size, kind, thumb}.
// `given` is the original file name, which only chat files have.

const MEDIA_AT_ONCE = 20 // wx.chooseMedia; 9 before base library 2.25.0
const CHAT_FILES_AT_ONCE = 100 // wx.chooseMessageFile

const KINDS = { image: '照片', video: '视频' }

const extension = (path) => (/\.(\w{1,8})$/.exec(path) || ['', ''])[1].toLowerCase()

const choose = (method, options) =>
  new Promise((resolve, reject) => method({ ...options, success: resolve, fail: reject }))

const chooseMedia = async (mediaType) => {
  const { tempFiles } = await choose(wx.chooseMedia, { count: MEDIA_AT_ONCE, mediaType: [mediaType] })
  return tempFiles.map(({ tempFilePath, thumbTempFilePath, size, fileType = mediaType }) => ({
    path: tempFilePath,
    name: `${KINDS[fileType]} ${extension(tempFilePath).toUpperCase()}`,
    size,
    kind: fileType,
    thumb: fileType === 'image' ? tempFilePath : thumbTempFilePath || '',
  }))
}

const chooseChatFiles = async () => {
  const { tempFiles } = await choose(wx.chooseMessageFile, { count: CHAT_FILES_AT_ONCE, type: 'all' })
  return tempFiles.map(({ path, name, size, type }) => ({
    path,
    name,
    given: name,
    size,
    kind: type,
    thumb: type === 'image' ? path : '',
  }))
}

module.exports = { chooseMedia, chooseChatFiles, extension }
