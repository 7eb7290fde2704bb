import { createUploader } from '@oss-signer/upload/taro'
import { Button, Text, View } from '@tarojs/components'
import Taro from '@tarojs/taro'
import { useState } from 'react'

const PIXEL = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

const uploader = createUploader({ endpoint: 'http://signer.test', appId: 'photos' })

export default () => {
  const [shown, show] = useState('')

  const upload = async (source, filename) => {
    try {
      show((await uploader.upload(source, { filename })).url)
    } catch (error) {
      show(`${error.code}: ${error.detail}`)
    }
  }

  const photo = async () => {
    const { tempFilePaths: [path] } = await Taro.chooseImage({ count: 1, sizeType: ['original'] })
    await upload(path, '海边.png')
  }

  return (
    <View>
      <Button className='photo' onClick={photo}>A photo</Button>
      <Button className='data' onClick={() => upload(PIXEL, 'pixel.png')}>Data</Button>
      <Text className='result'>{shown}</Text>
    </View>
  )
}
