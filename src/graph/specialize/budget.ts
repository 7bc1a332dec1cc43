/**
 * How much may be computed outside the device for one input shape. A single result is held to MAX_ELEMENTS where it is made (host/array.ts);
 * this holds all of them together, so that a graph of many large results, or of many passes over one, ends in an error and not in minutes of work.
 */
import { elementCount, GraphError, type Graph } from '../ir'

/** Elements any graph may go through: a second or two. */
const BASE = 128 * 1024 * 1024
/** Passes over masks and tables of [batch, length, length]: every layer may have some of its own, for every head. */
const PASSES_OVER_MASKS = 256
/** Passes over each weight: to floats, transposed, scaled. */
const PASSES_OVER_WEIGHTS = 16

export interface BudgetShape {
  readonly batch_size: number
  readonly sequence_length: number
  readonly encoder_length: number | null
}

export class HostBudget {
  private spent = 0
  private readonly limit: number

  constructor(graph: Graph, { batch_size, sequence_length, encoder_length }: BudgetShape) {
    const positions = Math.max(sequence_length, encoder_length ?? 0)
    this.limit = BASE + PASSES_OVER_MASKS * batch_size * positions ** 2 + PASSES_OVER_WEIGHTS * constantElements(graph)
  }

  /** Counts what a node reads and makes. @throws GraphError when it is too much */
  spend(values: readonly ({ readonly dims: readonly number[] } | null)[]): void {
    for (const value of values) if (value) this.spent += elementCount(value.dims)
    if (this.spent > this.limit)
      throw new GraphError(
        `what is computed outside the device, shapes and masks, has gone through more than ${this.limit} elements by this node: too much for any language model`,
      )
  }
}

function constantElements({ initializers, nodes }: Graph): number {
  let count = 0
  for (const { dims } of initializers.values()) count += elementCount(dims)
  for (const { attributes } of nodes) {
    for (const attribute of attributes.values()) {
      if (attribute.type === 'tensor') count += elementCount(attribute.value.dims)
      else if (attribute.type === 'graph') count += constantElements(attribute.value)
    }
  }
  return count
}
