module.exports = {
  projectName: 'upload',
  designWidth: 750,
  deviceRatio: { 750: 1 },
  sourceRoot: 'src',
  outputRoot: process.env.OUTPUT || 'dist',
  framework: 'react',
  compiler: { type: 'vite', vitePlugins: [] },
  plugins: [],
  mini: {},
  h5: { publicPath: './', staticDirectory: 'static' },
}
