// A web page that uses the declarations of the library, with a File and the browser's AbortController.
import { createUploader } from '@oss-signer/upload/h5'
import { createPause, createUploader as createVideoUploader } from '@oss-signer/upload/h5-multipart'

const uploader = createUploader({
  endpoint: 'https://sign.example.com',
  appId: 'h5',
  headers: async (refused) => ({ Authorization: refused ? 'Bearer new' : 'Bearer old' }),
})
const controller = new AbortController()
void uploader.upload(new File(['x'], 'a.txt'), { signal: controller.signal })
void uploader.upload(new Blob(['x']), { filename: 'a.txt' }).then(({ url }) => url.length)

const videos = createVideoUploader({ endpoint: 'https://sign.example.com', appId: 'videos' })
void videos.upload(new File(['x'], 'a.mp4'), { pause: createPause(), onPart: ({ state }) => state === 'stored' })

void uploader.upload('data:image/png;base64,iVBORw0KGgo=')
// @ts-expect-error: neither a file nor data
void uploader.upload(5)
