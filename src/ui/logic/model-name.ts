/** What files of a person's own are called as a model. Pure. */

const CONFIG = 'config.json'

/** The folder around config.json names a model; loose files are named by their ONNX file. Made fit for an id. */
export function modelName(paths: readonly string[]): string {
  const config = paths.filter((path) => path === CONFIG || path.endsWith(`/${CONFIG}`)).sort((a, b) => a.length - b.length)[0]
  const around = (config ?? paths[0] ?? '').split('/').slice(0, -1)
  const onnx = paths.find((path) => path.endsWith('.onnx'))
  // A folder called onnx says nothing of the model.
  const folder = around.filter((part) => part !== 'onnx').at(-1)
  const name =
    folder ??
    onnx
      ?.split('/')
      .at(-1)
      ?.replace(/\.onnx$/, '') ??
    'my-model'
  const safe = name
    .normalize('NFKD')
    .replace(/[^\w.-]+/g, '-')
    .replace(/-{2,}/g, '-')
    .replace(/\.{2,}/g, '.')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 90)
    .replace(/[-.]+$|\.(git|ipynb)$/g, '')
  return safe === '' ? 'my-model' : safe
}
