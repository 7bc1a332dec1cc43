import fc from 'fast-check'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { afterAll, describe, expect, it } from 'vitest'
import { FormatError } from '../../src/formats/format-error'
import { crc32, readStoredZip, writeStoredZip } from '../../src/formats/stored-zip'
import { readTorchTensor, writeTorchTensor } from '../../src/formats/torch-file'
import { readPickle, writePickle } from '../../src/formats/torch-pickle'
import { pythonWith, runPython } from '../support/python'

const fixture = (name: string) => new Uint8Array(readFileSync(`test/fixtures/torch/${name}`))
const text = (value: string) => new TextEncoder().encode(value)
/** A latin1 string of bytes, for pickles written by hand. */
const raw = (value: string) => Uint8Array.from(value, (c) => c.charCodeAt(0))
const members = (bytes: Uint8Array) => readStoredZip(bytes, 'f.pt', 16)
const ours = () => writeTorchTensor('decoder', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6))

/** The file with some members changed, added or (null) taken out. */
function withMembers(bytes: Uint8Array, changes: Record<string, Uint8Array | null>): Uint8Array {
  const made = new Map(members(bytes))
  for (const [name, content] of Object.entries(changes)) {
    if (content) made.set(name, content)
    else made.delete(name)
  }
  return writeStoredZip(made)
}

/** What torch_file.py saved. */
const VALUES = [0.5, -1.25, 3.0e-5, 7, -0, 65504]

describe('files that torch.save wrote', () => {
  it('float32, to the bit', () => {
    const { shape, data } = readTorchTensor(fixture('float32.pt'), 'float32.pt')
    expect([shape, data]).toEqual([[2, 3], Float32Array.from(VALUES)])
  })

  it('float16 and bfloat16, as fp32', () => {
    // 3e-5 between the halves: 503 * 2^-24. bfloat16 keeps 8 bits: 3.0040741e-5, and 65536 for 65504.
    expect([...readTorchTensor(fixture('float16.pt'), 'f').data]).toEqual([0.5, -1.25, 503 * 2 ** -24, 7, -0, 65504])
    const [half, quarter, small = 0, seven, zero, large] = readTorchTensor(fixture('bfloat16.pt'), 'f').data
    expect([half, quarter, seven, zero, large]).toEqual([0.5, -1.25, 7, -0, 65536])
    expect(Math.abs(small / 3e-5 - 1)).toBeLessThan(2 ** -8)
  })

  it('rows out of a larger storage', () => {
    expect(readTorchTensor(fixture('rows_of_larger.pt'), 'f').data).toEqual(Float32Array.of(3, 4, 5, 6, 7, 8))
  })

  it.each([
    ['not_contiguous.pt', 'not contiguous (strides 1, 3)'],
    ['parameter.pt', 'It holds a Parameter: save parameter.detach() instead.'],
    ['adapter_model.bin', 'EMPTY_DICT, where torch._utils _rebuild_tensor_v2 is expected. It holds a dictionary'],
  ])('refuses %s', (name, message) => {
    expect(() => readTorchTensor(fixture(name), name)).toThrow(message)
    expect(() => readTorchTensor(fixture(name), name)).toThrow(FormatError)
  })
})

describe('writeTorchTensor', () => {
  it('writes the pickle torch writes, byte for byte', () => {
    expect(writePickle(2, 3)).toEqual(members(fixture('float32.pt')).get('float32/data.pkl'))
  })

  it('has the three members of a caikit prompt, data at a multiple of 64', () => {
    const bytes = ours()
    expect([...members(bytes).keys()]).toEqual(['decoder/data.pkl', 'decoder/data/0', 'decoder/version'])
    expect(members(bytes).get('decoder/version')).toEqual(text('3\n'))
    expect((members(bytes).get('decoder/data/0')?.byteOffset ?? 1) % 64).toBe(0)
    expect(bytes).toEqual(ours())
  })

  it('is read back, whatever the size', () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }))
    fc.assert(
      fc.property(sizes, fc.float({ noNaN: true, min: -(2 ** 100), max: 2 ** 100 }), (shape, value) => {
        const data = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => value * (i + 1))
        expect(readTorchTensor(writeTorchTensor('encoder', shape, data), 'f')).toEqual({ shape, data })
      }),
      { numRuns: 30 },
    )
  })

  it('refuses what is no tensor', () => {
    const data = new Float32Array(6)
    expect(() => writeTorchTensor('decoder', [2, 4], data)).toThrow('decoder.pt: 6 numbers for 2 x 4')
    expect(() => writeTorchTensor('decoder', [0, 0], new Float32Array(0))).toThrow('0 numbers')
    expect(() => writeTorchTensor('a/b', [2, 3], data)).toThrow("can't be the name")
    expect(() => writeTorchTensor('decoder', [2, 3], data.fill(NaN, 4))).toThrow('decoder.pt, tensor[1, 1] is NaN')
  })
})

describe('readTorchTensor', () => {
  const pickle = String.fromCharCode(...(members(ours()).get('decoder/data.pkl') ?? []))
  const withPickle = (made: string) => withMembers(ours(), { 'decoder/data.pkl': raw(made) })
  const refuse = (bytes: Uint8Array, message: string) =>
    expect(() => readTorchTensor(bytes, 'x.pt')).toThrow(new FormatError(message))

  it('reads pickles without memo, with the other memo opcodes, and from any device', () => {
    const plain = pickle.replace(/q[^a-z]/g, '')
    expect(plain.length).toBe(pickle.length - 24)
    const long = pickle.replace(/q([^a-z])/g, 'r$1\0\0\0')
    const memoize = pickle.replace(/q[^a-z]/g, '\x94')
    const cuda = pickle.replace('X\x03\0\0\0cpu', 'X\x06\0\0\0cuda:1')
    for (const made of [plain, long, memoize, cuda, pickle.replace('\x89', '\x88')])
      expect(readTorchTensor(withPickle(made), 'x.pt').data).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6))
  })

  it('runs nothing: any other opcode or global is refused by name and byte', () => {
    const expected = 'where torch._utils _rebuild_tensor_v2 is expected.'
    refuse(withPickle('\x80\x02cos\nsystem\n(X\x02\0\0\0lstR.'), `x.pt, data.pkl, byte 2: GLOBAL "os system", ${expected}`)
    refuse(withPickle('\x80\x02\x8c\x02os\x8c\x06system\x93.'), `x.pt, data.pkl, byte 2: SHORT_BINUNICODE, ${expected}`)
    refuse(
      withPickle(pickle.replace('ccollections\nOrderedDict\n', 'cbuiltins\nexec\n')),
      'x.pt, data.pkl, byte 116: GLOBAL "builtins exec", where collections OrderedDict is expected.',
    )
    refuse(
      withPickle(pickle.replace('FloatStorage', 'DoubleStorage')),
      'x.pt, data.pkl, byte 53: GLOBAL "torch DoubleStorage", where torch FloatStorage or torch HalfStorage or torch BFloat16Storage is expected. Only float32, float16 and bfloat16 tensors are read.',
    )
    refuse(withPickle(pickle.replace('Rq\x0b.', 'Rq\x0bb.')), 'x.pt, data.pkl, byte 153: BUILD, where STOP is expected.')
    refuse(withPickle(pickle.replace('q\x00(', 'h\x00(')), 'x.pt, data.pkl, byte 35: BINGET, where MARK is expected.')
    refuse(withPickle(`${pickle}cos\nsystem\n`), 'x.pt, data.pkl, byte 154: something follows the end')
    refuse(withPickle(pickle.slice(0, 60)), 'x.pt, data.pkl, byte 60: a name without an end')
    refuse(withPickle(pickle.slice(0, 152)), 'x.pt, data.pkl ends in the middle, at byte 152')
    refuse(withPickle('\x80\x04.'), 'x.pt, data.pkl is no pickle of protocol 2')
    refuse(withPickle(pickle.replace('storage', 'module!')), 'x.pt, data.pkl, byte 39: the text "module!" is not expected here')
    refuse(withPickle(pickle.replace('X\x07\0\0\0', 'X\xff\xff\xff\x7f')), 'x.pt, data.pkl, byte 44: a text of 2147483647 bytes')
  })

  it('checks sizes before it makes room', () => {
    // 6 elements announced as 2^31 - 1, and as more than there are.
    refuse(
      withPickle(pickle.replace('K\x06t', 'J\xff\xff\xff\x7ft')),
      'x.pt: the storage has 24 bytes, not 4 for each of 2147483647 elements',
    )
    refuse(
      withPickle(pickle.replace('K\x02K\x03\x86', 'K\x03K\x03\x86')),
      'x.pt: 3 x 3 elements from 0 on, but the storage has 6',
    )
    refuse(withPickle(pickle.replace('QK\x00', 'QK\x01')), 'x.pt: 2 x 3 elements from 1 on, but the storage has 6')
    refuse(withPickle(pickle.replace('K\x02K\x03\x86', 'K\x00K\x03\x86')), 'x.pt: a tensor of 0 x 3 is empty')
    refuse(withPickle(pickle.replace('QK\x00', 'QJ\xff\xff\xff\xff')), 'x.pt, data.pkl, byte 99: storage_offset is negative')
    const nan = raw('\0\0\xc0\x7f'.repeat(6))
    refuse(withMembers(ours(), { 'decoder/data/0': nan }), 'x.pt, tensor[0, 0] is NaN')
  })

  it('knows every member', () => {
    refuse(withMembers(ours(), { 'decoder/data.pkl': null }), 'x.pt: data.pkl is missing, so it was not written by torch.save')
    refuse(withMembers(ours(), { 'decoder/data/0': null }), 'x.pt: data/0 is missing')
    refuse(withMembers(ours(), { 'decoder/data/1': text('x') }), 'x.pt: "data/1" is no part of a file of one tensor')
    refuse(withMembers(ours(), { 'decoder/byteorder': text('big') }), 'x.pt: byteorder is big, only little is read')
    refuse(withMembers(ours(), { 'other/version': text('3\n') }), 'x.pt: "other/version" is not in the folder of a torch file')
    expect(readTorchTensor(withMembers(ours(), { 'decoder/version': null }), 'x.pt').shape).toEqual([2, 3])
  })

  it('says what else a file is', () => {
    refuse(new Uint8Array(0), 'x.pt is no zip archive, or is cut short')
    refuse(ours().slice(0, -1), 'x.pt is no zip archive, or is cut short')
    const old = raw('\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.')
    refuse(old, 'x.pt was written by torch before 1.6, or in its old format: save it again with a newer torch')
  })

  it.each(['float32.pt', 'bfloat16.pt', 'adapter_model.bin'])(
    'survives damage to %s: an error of ours or a right answer, never more memory than the file',
    (name) => {
      const file = fixture(name)
      const edit = fc.record({ at: fc.nat(file.length - 1), value: fc.nat(255) })
      fc.assert(
        fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.option(fc.nat(file.length)), (edits, cut) => {
          const damaged = file.slice()
          for (const { at, value } of edits) damaged[at] = value
          try {
            const { shape, data } = readTorchTensor(cut === null ? damaged : damaged.subarray(0, cut), name)
            expect(data.length).toBe(shape[0] * shape[1])
            expect(data.byteLength).toBeLessThanOrEqual(2 * file.byteLength)
          } catch (error) {
            if (!(error instanceof FormatError)) throw error
          }
        }),
        { numRuns: 3000 },
      )
    },
  )

  it('survives damage to the pickle itself', () => {
    const bytes = raw(pickle)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.uint8Array({ maxLength: 6 }), fc.nat(6), (at, put, gone) => {
        const damaged = new Uint8Array([...bytes.subarray(0, at), ...put, ...bytes.subarray(at + gone)])
        try {
          const { size } = readPickle(damaged, 'f')
          expect(size.every((n) => Number.isSafeInteger(n) && n >= 0)).toBe(true)
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      { numRuns: 5000 },
    )
  })
})

describe('readStoredZip', () => {
  const file = ours()
  const patched = (at: number, ...values: number[]) => {
    const bytes = file.slice()
    bytes.set(values, at)
    return bytes
  }
  const refuse = (bytes: Uint8Array, message: string, most = 16) => expect(() => readStoredZip(bytes, 'z', most)).toThrow(message)
  const end = file.length - 22
  const directory = new DataView(file.buffer).getUint32(end + 16, true)
  const at = (needle: string, from: number) => from + String.fromCharCode(...file.subarray(from)).indexOf(needle)

  it('has the checksum everybody has', () => {
    expect(crc32(text('123456789'))).toBe(0xcbf43926)
  })

  it('refuses what does not add up, by name', () => {
    refuse(file, 'z has 3 entries, more than the 2 expected', 2)
    refuse(patched(end + 16, 255, 255, 255, 255), 'archives of 4 GiB')
    refuse(patched(end + 16, 1), 'entry 0 of the directory is damaged')
    refuse(patched(directory + 10, 8), 'z, entry "decoder/data.pkl" is compressed')
    refuse(patched(directory + 8, 1), 'encrypted')
    refuse(patched(directory + 24, 1), 'is compressed')
    refuse(patched(directory + 42, 7), 'no entry begins at byte 7')
    refuse(patched(directory + 46, 0x44), 'have different names')
    refuse(patched(directory + 20, 255, 255, 255, 0, 255, 255, 255, 0), 'the file is too short for them')
    refuse(patched(at('storage', 0), 0x53), 'entry "decoder/data.pkl" is damaged: its checksum does not fit')
    // The directory names the first of two entries twice.
    const zip = writeStoredZip(
      new Map([
        ['a', text('1')],
        ['b', text('2')],
      ]),
    )
    const start = new DataView(zip.buffer).getUint32(zip.length - 6, true)
    zip.copyWithin(start + 47, start, start + 47)
    refuse(zip, 'entry "a" overlaps another')
  })

  it('gives back what was written', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^[a-zé/]{1,20}$/), fc.uint8Array({ maxLength: 200 }), { maxKeys: 16 }),
        (made) => {
          const entries = new Map(Object.entries(made))
          expect(readStoredZip(writeStoredZip(entries), 'z', 16)).toEqual(entries)
        },
      ),
    )
  })
})

const python = pythonWith('torch')

describe.skipIf(python === null)(`torch itself${python === null ? ' (no python3 with torch here)' : ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'torch-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const script = (...args: string[]) => runPython(python ?? '', ['test/python/torch_file.py', ...args])
  const LoadedSchema = v.object({
    dtype: v.string(),
    shape: v.array(v.number()),
    stride: v.array(v.number()),
    requires_grad: v.boolean(),
    values: v.array(v.number()),
  })

  it.each([
    ['encoder', [1, 1]],
    ['decoder', [2, 3]],
    ['decoder', [300, 257]],
  ] as const)(
    'loads %s.pt of %j as it was written',
    (name, [rows, columns]) => {
      const data = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i) * 10 ** (i % 5))
      const path = join(folder, `${name}.pt`)
      writeFileSync(path, writeTorchTensor(name, [rows, columns], data))
      const loaded = v.parse(LoadedSchema, JSON.parse(script('load', path)))
      expect(loaded).toMatchObject({ dtype: 'torch.float32', shape: [rows, columns], stride: [columns, 1], requires_grad: false })
      expect(loaded.values).toEqual([...data])
    },
    60_000,
  )

  it('saves what is read here, and what is refused', () => {
    script('save', folder)
    const read = (name: string) => readTorchTensor(new Uint8Array(readFileSync(join(folder, `${name}.pt`))), `${name}.pt`)
    expect([...read('float32').data]).toEqual(VALUES.map(Math.fround))
    for (const name of ['float16', 'bfloat16', 'rows_of_larger'])
      expect(read(name)).toEqual(readTorchTensor(fixture(`${name}.pt`), name))
    expect(() => read('not_contiguous')).toThrow('not contiguous')
    expect(() => read('every_other_row')).toThrow('not contiguous (strides 6, 1)')
    expect(() => read('float64')).toThrow('Only float32, float16 and bfloat16')
    expect(() => read('vector')).toThrow('TUPLE1, where a number (columns) is expected')
    expect(() => read('parameter')).toThrow('It holds a Parameter')
    expect(() => read('dictionary')).toThrow('It holds a dictionary')
    expect(() => read('list')).toThrow('It holds a list')
  }, 60_000)
})
