import { defineConfig } from 'vite'
import plugin from '@dcloudio/vite-plugin-uni'
export default defineConfig({ plugins: [(plugin.default || plugin)()] })
