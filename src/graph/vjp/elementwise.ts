/** VJPs of the element-wise ops, with numpy broadcasting: d operand = dy * (partial derivative), summed where it was broadcast. */
import type { BinaryName, OpNamed, UnaryName } from '../program'
import { input, output, type Backward, type VjpTable } from './rule'

type Elementwise = OpNamed<UnaryName | BinaryName | 'Where'>

/** Adds the gradient of operand `i`, made only when it is needed; it has the shape of the result, or broadcasts to it. */
function operand(op: Elementwise, i: number, back: Backward, gradient: () => string): void {
  const value = input(op, i)
  if (back.needs(value)) back.add(value, back.unbroadcast(gradient(), back.dims(output(op)), back.dims(value)))
}

/** dx = dy * derivative(x, y). */
function unary(derivative: (back: Backward, x: string, y: string) => string) {
  return (op: OpNamed<UnaryName>, dy: string, back: Backward): void => {
    operand(op, 0, back, () => back.builder.mul(dy, derivative(back, input(op, 0), output(op))))
  }
}

/** Max and Min: all of the gradient goes to the operand that was taken; at a tie, to the second. */
function chosen(firstIsTaken: (back: Backward, a: string, b: string) => string) {
  return (op: OpNamed<'Max' | 'Min'>, dy: string, back: Backward): void => {
    const { builder } = back
    const zero = builder.scalar(0)
    const taken = () => firstIsTaken(back, input(op, 0), input(op, 1))
    operand(op, 0, back, () => builder.where(taken(), dy, zero))
    operand(op, 1, back, () => builder.where(taken(), zero, dy))
  }
}

export const elementwise: VjpTable = {
  Neg: (op, dy, back) => operand(op, 0, back, () => back.builder.unary('Neg', dy)),
  Abs: unary(({ builder }, x) => {
    const zero = builder.scalar(0)
    const negative = builder.where(builder.binary('Greater', zero, x), builder.scalar(-1), zero)
    return builder.where(builder.binary('Greater', x, zero), builder.scalar(1), negative)
  }),
  Reciprocal: unary(({ builder }, _, y) => builder.unary('Neg', builder.mul(y, y))),
  Sqrt: (op, dy, back) => operand(op, 0, back, () => back.builder.div(back.builder.scale(dy, 0.5), output(op))),
  Exp: unary((_, __, y) => y),
  Log: (op, dy, back) => operand(op, 0, back, () => back.builder.div(dy, input(op, 0))),
  Erf: unary(({ builder }, x) => {
    const gaussian = builder.unary('Exp', builder.unary('Neg', builder.mul(x, x)))
    return builder.scale(gaussian, 2 / Math.sqrt(Math.PI))
  }),
  Tanh: unary(({ builder }, _, y) => builder.sub(builder.scalar(1), builder.mul(y, y))),
  Sigmoid: unary(({ builder }, _, y) => builder.mul(y, builder.sub(builder.scalar(1), y))),
  Relu: (op, dy, back) => {
    const { builder } = back
    const zero = builder.scalar(0)
    operand(op, 0, back, () => builder.where(builder.binary('Greater', input(op, 0), zero), dy, zero))
  },
  Sin: unary(({ builder }, x) => builder.unary('Cos', x)),
  Cos: unary(({ builder }, x) => builder.unary('Neg', builder.unary('Sin', x))),

  Add: (op, dy, back) => {
    operand(op, 0, back, () => dy)
    operand(op, 1, back, () => dy)
  },
  Sub: (op, dy, back) => {
    operand(op, 0, back, () => dy)
    operand(op, 1, back, () => back.builder.unary('Neg', dy))
  },
  Mul: (op, dy, back) => {
    operand(op, 0, back, () => back.builder.mul(dy, input(op, 1)))
    operand(op, 1, back, () => back.builder.mul(dy, input(op, 0)))
  },
  Div: (op, dy, back) => {
    const { builder } = back
    const scaled = () => builder.div(dy, input(op, 1))
    operand(op, 0, back, scaled)
    operand(op, 1, back, () => builder.unary('Neg', builder.mul(scaled(), output(op))))
  },
  Pow: (op, dy, back) => {
    const { builder } = back
    const [base, exponent] = [input(op, 0), input(op, 1)]
    operand(op, 0, back, () => {
      const lowered = builder.binary('Pow', base, builder.sub(exponent, builder.scalar(1)))
      return builder.mul(dy, builder.mul(exponent, lowered))
    })
    operand(op, 1, back, () => builder.mul(dy, builder.mul(output(op), builder.unary('Log', base))))
  },
  Max: chosen(({ builder }, a, b) => builder.binary('Greater', a, b)),
  Min: chosen(({ builder }, a, b) => builder.binary('Greater', b, a)),
  Where: (op, dy, back) => {
    const { builder } = back
    const [condition, zero] = [input(op, 0), builder.scalar(0)]
    operand(op, 1, back, () => builder.where(condition, dy, zero))
    operand(op, 2, back, () => builder.where(condition, zero, dy))
  },
}
