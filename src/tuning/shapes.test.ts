/** Shapes of two stacks: every row fits its batch, larger shapes are larger in everything, and none has more positions than the model. Bounds: data.test.ts. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bucketBatches } from './batches'
import { largerNeed, NO_NEED, Shapes } from './shapes'
import type { Need, Shape } from './shapes'

const SIZES = ['sequence_length', 'label_length', 'encoder_length'] as const
const fits = (need: Need, shape: Shape): boolean => SIZES.every((size) => need[size] <= shape[size])
const MOST = 90

/** Rows of one model: of an encoder-decoder all have something to read. */
const needs = fc.boolean().chain((encoder) =>
  fc.array(
    fc.record({
      sequence_length: fc.integer({ min: 1, max: MOST }),
      label_length: fc.integer({ min: 1, max: 9 }),
      encoder_length: encoder ? fc.integer({ min: 1, max: MOST }) : fc.constant(0),
    }),
    { minLength: 1, maxLength: 40 },
  ),
)
const positions = fc.option(fc.integer({ min: MOST, max: 110 }))

describe('shapes', () => {
  test('are at most four, each as large as the one before in everything, within the positions there are', () => {
    fc.assert(
      fc.property(needs, positions, fc.nat(5), (rows, max_positions, extra) => {
        const shapes = new Shapes(rows, max_positions, extra).all()
        expect(shapes.length).toBeGreaterThan(0)
        expect(shapes.length).toBeLessThanOrEqual(4)
        shapes.slice(1).forEach((shape, i) => expect(fits(shapes[i] ?? NO_NEED, shape)).toBe(true))
        const most = rows.reduce(largerNeed, NO_NEED)
        const last = shapes.at(-1) ?? NO_NEED
        expect(fits({ ...most, label_length: most.label_length + extra }, last)).toBe(true)
        for (const { sequence_length, encoder_length } of shapes)
          expect(Math.max(sequence_length, encoder_length)).toBeLessThanOrEqual(max_positions ?? Infinity)
        // No stack is padded by more than rounding where a single shape is enough.
        if (shapes.length === 1) expect(last.encoder_length).toBeLessThan(most.encoder_length + 8)
        if (most.encoder_length === 0) for (const shape of shapes) expect(shape.encoder_length).toBe(0)
      }),
    )
  })

  test('every row fits the shape of its batch, in both stacks; the same shapes give the same batches', () => {
    fc.assert(
      fc.property(needs, positions, fc.integer({ min: 1, max: 6 }), (rows, max_positions, batch_size) => {
        const order = rows.map((_, row) => row)
        const shapes = new Shapes(rows, max_positions)
        const before = shapes.all().length
        const batches = bucketBatches(order, rows, shapes, batch_size)
        expect(batches).toHaveLength(Math.ceil(rows.length / batch_size))
        for (const { shape, rows: members } of batches)
          for (const row of members) expect(fits(rows[row] ?? { ...NO_NEED, sequence_length: Infinity }, shape)).toBe(true)
        // Rows that shapes were made of need no new ones.
        expect(shapes.all()).toHaveLength(before)
        expect(bucketBatches(order, rows, shapes, batch_size)).toEqual(batches)
      }),
    )
  })

  test('a row that outgrows all of them gets one that holds the others too, and it is used again', () => {
    fc.assert(
      fc.property(
        needs,
        fc.record({
          sequence_length: fc.integer({ min: 1, max: 200 }),
          label_length: fc.integer({ min: 1, max: 20 }),
          encoder_length: fc.integer({ min: 0, max: 200 }),
        }),
        (rows, row) => {
          const shapes = new Shapes(rows, null)
          const made = shapes.fit(row, row.sequence_length + 5)
          expect(fits(row, made)).toBe(true)
          expect(shapes.fit(row)).toBe(made)
          const all = shapes.all()
          all.slice(1).forEach((shape, i) => expect(fits(all[i] ?? NO_NEED, shape)).toBe(true))
        },
      ),
    )
  })

  test('buckets are of the encoder where there is one', () => {
    const row = (sequence_length: number, encoder_length: number): Need => ({ sequence_length, encoder_length, label_length: 2 })
    const rows = [...Array.from({ length: 8 }, () => row(3, 10)), ...Array.from({ length: 8 }, () => row(20, 200))]
    expect(new Shapes(rows, null).all()).toEqual([
      { sequence_length: 8, label_length: 2, encoder_length: 16 },
      { sequence_length: 24, label_length: 2, encoder_length: 200 },
    ])
    expect(new Shapes([row(3, 197)], 198).all()).toEqual([{ sequence_length: 8, label_length: 2, encoder_length: 198 }])
  })
})
