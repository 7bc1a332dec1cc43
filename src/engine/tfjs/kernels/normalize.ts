/** Softmax and the normalisations of ops/norm.ts as one dispatch each; what they mean is said there and in graph/program.ts. */
import { columns, write, type RowKernel } from './rows'

/**
 * tfjs' own kernel starts its maximum above the least float32, so that a fully masked row becomes NaN, and overwrites the last row
 * when there are more rows than workgroups in one dimension.
 */
export const SOFTMAX: RowKernel = {
  name: 'softmax',
  inputs: ['x'],
  result: 'elements',
  body: `
    var high = x[start];
    ${columns('high = max(high, x[start + c]);')}
    high = rowMax(high);
    var sum = 0.0;
    ${columns('sum += exp(x[start + c] - high);')}
    sum = rowSum(sum);
    ${write('exp(x[start + c] - high) / sum')}`,
}

/** scale * p (dp - sum(dp p)): the gradient of softmax(scale * x); the parameter is the scale. */
export const SOFTMAX_GRAD: RowKernel = {
  name: 'softmax_grad',
  inputs: ['dp', 'p'],
  result: 'elements',
  body: `
    var sum = 0.0;
    ${columns('sum += dp[start + c] * p[start + c];')}
    sum = rowSum(sum);
    ${write('parameter * p[start + c] * (dp[start + c] - sum)')}`,
}

/** The parameter of what follows is epsilon. Defines `mean` over the row of x and `r` = 1 / sqrt(mean((x - mean)^2) + epsilon). */
const MEAN_AND_ROOT = `
  var sum = 0.0;
  ${columns('sum += x[start + c];')}
  let mean = rowSum(sum) / f32(cols);
  var squares = 0.0;
  ${columns('let d = x[start + c] - mean; squares += d * d;')}
  let r = inverseSqrt(rowSum(squares) / f32(cols) + parameter);`

const ROOT = `
  var squares = 0.0;
  ${columns('squares += x[start + c] * x[start + c];')}
  let r = inverseSqrt(rowSum(squares) / f32(cols) + parameter);`

export const LAYER_NORM: RowKernel = {
  name: 'layer_norm',
  inputs: ['x', 'scale', 'bias'],
  result: 'elements',
  body: `${MEAN_AND_ROOT}
    ${write('(x[start + c] - mean) * r * scale[c] + bias[c]')}`,
}

export const LAYER_NORM_GRAD: RowKernel = {
  name: 'layer_norm_grad',
  inputs: ['dy', 'x', 'scale'],
  result: 'elements',
  body: `${MEAN_AND_ROOT}
    var along = 0.0;
    var both = 0.0;
    ${columns('let dn = dy[start + c] * scale[c]; along += dn; both += dn * (x[start + c] - mean) * r;')}
    along = rowSum(along) / f32(cols);
    both = rowSum(both) / f32(cols);
    ${write('r * (dy[start + c] * scale[c] - along - (x[start + c] - mean) * r * both)')}`,
}

export const RMS_NORM: RowKernel = {
  name: 'rms_norm',
  inputs: ['x', 'scale'],
  result: 'elements',
  body: `${ROOT}
    ${write('x[start + c] * r * scale[c]')}`,
}

export const RMS_NORM_GRAD: RowKernel = {
  name: 'rms_norm_grad',
  inputs: ['dy', 'x', 'scale'],
  result: 'elements',
  body: `${ROOT}
    var both = 0.0;
    ${columns('both += dy[start + c] * scale[c] * x[start + c] * r;')}
    both = rowSum(both) / f32(cols);
    ${write('r * (dy[start + c] * scale[c] - x[start + c] * r * both)')}`,
}
