/** What is computed outside the device for each batch, because it depends on that batch's attention mask. */
import { GraphError } from '../ir'
import { sameDims } from '../op-types'
import { fromNumbers, toFeed, type NdArray } from '../host/array'
import { describeNode } from '../host/attributes'
import { evaluateNode } from '../host/table'
import { clamped } from '../normalize/emitter'
import type { HostLane, HostStep } from '../normalize/lanes'

export interface HostFeeds {
  /** [B,S], 1 where there is a token, 0 over padding. */
  readonly attention_mask: Int32Array
}

export interface HostPlan {
  /** The program inputs it computes; none when the mask is constant. */
  readonly inputs: readonly string[]
  /** @throws GraphError for a mask of the wrong size or with anything but 0 and 1 */
  run(feeds: HostFeeds): ReadonlyMap<string, Float32Array | Int32Array | Uint8Array>
}

/**
 * @param mask the lane of the fed attention mask, undefined where nothing depends on it
 * @param fed the wanted values by program input name
 */
export function makeHostPlan(mask: HostLane | undefined, fed: ReadonlyMap<string, HostLane>): HostPlan {
  const steps = stepsFor(fed.values())
  return {
    inputs: [...fed.keys()],
    run({ attention_mask }) {
      if (!mask || fed.size === 0) return new Map()
      const values = new Map<HostLane, NdArray>([[mask, checkedMask(mask, attention_mask)]])
      const read = (lane: HostLane) => values.get(lane) ?? lane.constant
      for (const { node, opset, inputs, outputs } of steps) {
        const results = evaluateNode(
          node,
          opset,
          inputs.map((lane) => lane && read(lane)),
        )
        outputs.forEach((lane, i) => {
          const result = results[i]
          if (!result || !sameDims(result.dims, lane.dims))
            throw new GraphError(`${describeNode(node)}: its shape depends on the mask's values`)
          values.set(lane, result)
        })
      }
      return new Map([...fed].map(([name, lane]) => [name, toFeed(clamped(read(lane)))]))
    },
  }
}

/** Both plans for the joined program: they read the same mask, the encoder's own and the decoder's over the encoder's states. */
export function joinHostPlans(first: HostPlan, second: HostPlan, renamed: (name: string) => string): HostPlan {
  return {
    inputs: [...first.inputs.map(renamed), ...second.inputs],
    run: (feeds) =>
      new Map([...[...first.run(feeds)].map(([name, array]) => [renamed(name), array] as const), ...second.run(feeds)]),
  }
}

/** The steps behind some values, in the order they were first taken. */
function stepsFor(wanted: Iterable<HostLane>): HostStep[] {
  const found = new Set<HostStep>()
  const open = [...wanted]
  for (let lane = open.pop(); lane; lane = open.pop()) {
    if (!lane.step || found.has(lane.step)) continue
    found.add(lane.step)
    for (const input of lane.step.inputs) if (input?.taint) open.push(input)
  }
  return [...found].sort((a, b) => (a.outputs[0]?.id ?? 0) - (b.outputs[0]?.id ?? 0))
}

function checkedMask(lane: HostLane, mask: Int32Array): NdArray {
  if (mask.length !== lane.dims.reduce((a, b) => a * b, 1)) {
    throw new GraphError(`an attention mask of ${mask.length} entries, [${lane.dims.join(', ')}] was expected`)
  }
  const wrong = mask.findIndex((value) => value !== 0 && value !== 1)
  if (wrong >= 0) throw new GraphError(`entry ${wrong} of the attention mask is ${mask[wrong]}, not 0 or 1`)
  return fromNumbers(lane.dtype, lane.dims, mask)
}
