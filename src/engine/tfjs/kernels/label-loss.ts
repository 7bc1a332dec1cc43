/** Cross-entropy at label positions, a row of logits at a time; what it means is said in graph/program.ts. */
import { columns, write, writeRow, type RowKernel } from './rows'

/** `high` and `sum` of exp(x - high) over the row. */
const MAXIMUM_AND_SUM = `
  var high = x[start];
  ${columns('high = max(high, x[start + c]);')}
  high = rowMax(high);
  var sum = 0.0;
  ${columns('sum += exp(x[start + c] - high);')}
  sum = rowSum(sum);`

const LOG_PROBABILITY = `x[start + clamp(ids[row], 0, cols - 1)] - high - log(sum)`

export const LABEL_LOG_PROBABILITY: RowKernel = {
  name: 'label_log_probability',
  inputs: ['x', 'ids'],
  result: 'rows',
  body: `${MAXIMUM_AND_SUM} ${writeRow(LOG_PROBABILITY)}`,
}

export const LABEL_LOSS: RowKernel = {
  name: 'label_loss',
  inputs: ['x', 'ids', 'weights'],
  result: 'rows',
  body: `${MAXIMUM_AND_SUM} ${writeRow(`-weights[row] * (${LOG_PROBABILITY})`)}`,
}

export const LABEL_LOSS_GRAD: RowKernel = {
  name: 'label_loss_grad',
  inputs: ['x', 'ids', 'weights'],
  result: 'elements',
  body: `${MAXIMUM_AND_SUM} ${write('weights[row] * (exp(x[start + c] - high) / sum - f32(c == ids[row]))')}`,
}
