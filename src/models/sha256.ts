/**
 * SHA-256 (FIPS 180-4) fed piece by piece: WebCrypto wants the whole message at once, and a model file should never have to
 * lie in memory twice only to be hashed.
 */

/** First 32 bits of the fractional parts of the cube roots (constants) and square roots (initial state) of the first primes. */
const { constants, initial } = (() => {
  const primes: number[] = []
  for (let candidate = 2; primes.length < 64; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate)
  }
  const bits = (root: number): number => ((root - Math.floor(root)) * 2 ** 32) | 0
  return {
    constants: Int32Array.from(primes, (p) => bits(Math.cbrt(p))),
    initial: primes.slice(0, 8).map((p) => bits(Math.sqrt(p))),
  }
})()

/** A hash in the middle of its message, as plain data. */
export interface HashState {
  readonly state: number[]
  /** Bytes behind the last whole block of 64. */
  readonly rest: number[]
  readonly total: number
}

export class Sha256 {
  private readonly state = Int32Array.from(initial)
  private readonly words = new Int32Array(64)
  private readonly block = new Uint8Array(64)
  private filled = 0
  private total = 0

  update(bytes: Uint8Array): this {
    this.total += bytes.byteLength
    let from = 0
    if (this.filled > 0) {
      from = Math.min(64 - this.filled, bytes.byteLength)
      this.block.set(bytes.subarray(0, from), this.filled)
      this.filled += from
      if (this.filled < 64) return this
      this.compress(new DataView(this.block.buffer), 0)
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (; from + 64 <= bytes.byteLength; from += 64) this.compress(view, from)
    this.block.set(bytes.subarray(from))
    this.filled = bytes.byteLength - from
    return this
  }

  /** What `resume` goes on from. */
  save(): HashState {
    return { state: [...this.state], rest: [...this.block.subarray(0, this.filled)], total: this.total }
  }

  static resume({ state, rest, total }: HashState): Sha256 {
    const hash = new Sha256()
    hash.state.set(state)
    hash.block.set(rest)
    hash.filled = rest.length
    hash.total = total
    return hash
  }

  /** The digest in hex. Ends the hash: update no more. */
  hex(): string {
    const length = this.total
    const tail = new Uint8Array(this.filled < 56 ? 64 - this.filled : 128 - this.filled)
    tail[0] = 0x80
    const view = new DataView(tail.buffer)
    view.setUint32(tail.length - 8, Math.floor(length / 2 ** 29))
    view.setUint32(tail.length - 4, (length << 3) >>> 0)
    this.update(tail)
    return Array.from(this.state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
  }

  /** One block of 64 bytes; the names are those of FIPS 180-4, section 6.2.2. */
  private compress(view: DataView, offset: number): void {
    const { words: w, state } = this
    for (let t = 0; t < 16; t++) w[t] = view.getInt32(offset + 4 * t)
    for (let t = 16; t < 64; t++) {
      const x = w[t - 15] ?? 0
      const y = w[t - 2] ?? 0
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
      w[t] = ((w[t - 16] ?? 0) + s0 + (w[t - 7] ?? 0) + s1) | 0
    }
    // Not destructured: an array pattern goes through the iterator, and this runs once per 64 bytes.
    let a = state[0] ?? 0
    let b = state[1] ?? 0
    let c = state[2] ?? 0
    let d = state[3] ?? 0
    let e = state[4] ?? 0
    let f = state[5] ?? 0
    let g = state[6] ?? 0
    let h = state[7] ?? 0
    for (let t = 0; t < 64; t++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (constants[t] ?? 0) + (w[t] ?? 0)) | 0
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
      h = g
      g = f
      f = e
      e = (d + t1) | 0
      d = c
      c = b
      b = a
      a = (t1 + t2) | 0
    }
    state[0] = (state[0] ?? 0) + a
    state[1] = (state[1] ?? 0) + b
    state[2] = (state[2] ?? 0) + c
    state[3] = (state[3] ?? 0) + d
    state[4] = (state[4] ?? 0) + e
    state[5] = (state[5] ?? 0) + f
    state[6] = (state[6] ?? 0) + g
    state[7] = (state[7] ?? 0) + h
  }
}

export const sha256 = (bytes: Uint8Array): string => new Sha256().update(bytes).hex()
