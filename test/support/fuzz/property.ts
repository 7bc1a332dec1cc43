/** The fuzzer's property: real exports, damaged, survive (survive.ts). The test suite runs it for seconds, `npm run fuzz` for as long as asked. */
import fc from 'fast-check'
import { readFileSync, readdirSync } from 'node:fs'
import { byteMutation, damageBytes, damageFields, fieldMutation } from './mutations'
import type { Files } from './survive'

const ONNX = 'test/fixtures/onnx'

export interface Fixture {
  readonly name: string
  readonly files: Files
}

/** Exports of every style there is in the fixtures; an encoder comes with its decoder. Paths are from the repository's root. */
export function fuzzFixtures(): Fixture[] {
  const read = (path: string): Uint8Array => new Uint8Array(readFileSync(path))
  const names = readdirSync(ONNX).filter((name) => name.endsWith('.onnx'))
  const causal = names.filter((name) => !name.startsWith('t5')).map((name) => ({ name, files: [read(`${ONNX}/${name}`)] }))
  const pair = ['t5_t433_encoder.onnx', 't5_t433_decoder_model_merged.onnx']
  return [...causal, { name: 't5', files: pair.map((name) => read(`${ONNX}/${name}`)) }]
}

/** A fixture and what is done to one of its files. */
export interface Damage {
  /** Which fixture, and what was done. */
  readonly description: string
  readonly files: Files
}

const mutations = fc.oneof(
  {
    weight: 1,
    arbitrary: fc
      .array(byteMutation, { minLength: 1, maxLength: 5 })
      .map((list) => ({ list, apply: (file: Uint8Array) => damageBytes(file, list) })),
  },
  {
    weight: 4,
    arbitrary: fc
      .array(fieldMutation, { minLength: 1, maxLength: 4 })
      .map((list) => ({ list, apply: (file: Uint8Array) => damageFields(file, list) })),
  },
)

export function arbitraryDamage(fixtures: readonly Fixture[]): fc.Arbitrary<Damage> {
  return fc
    .record({ fixture: fc.constantFrom(...fixtures), which: fc.nat(1), mutations })
    .map(({ fixture, which, mutations }) => ({
      description: `${fixture.name}, ${JSON.stringify(mutations.list, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)).slice(0, 2000)}`,
      files: fixture.files.map((file, i) => (i === which % fixture.files.length ? mutations.apply(file) : file)),
    }))
}
