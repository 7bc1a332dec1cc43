/** Which versions of operator sets a file may name, before its ops are read by them. What an op means in each version is in the rules. */
import { GraphError } from './ir'

/** Before it, Add and Mul said in attributes how they broadcast. */
const OLDEST = 7
/** Far beyond any there is: a number like this is damage. The versions in between are judged by the ops themselves, and by the self-test. */
const NO_SUCH = 1000

/**
 * @param opsets version by domain; '' is ONNX's own
 * @throws GraphError for a version that is none, too old a one, or none of ONNX's own operator set
 */
export function checkOpsets(opsets: ReadonlyMap<string, number>): void {
  for (const [domain, version] of opsets) {
    if (Number.isSafeInteger(version) && version >= 1 && version <= NO_SUCH) continue
    throw new GraphError(
      `this model can't be read: it names version ${version} of the operator set of domain '${domain}', and there is none`,
    )
  }
  const version = opsets.get('')
  if (version === undefined)
    throw new GraphError("this model can't be read: it does not say which version of ONNX's operator set it uses (opset_import)")
  if (version < OLDEST)
    throw new GraphError(`this model can't be read: its operator set, version ${version}, is older than ${OLDEST}`)
}
