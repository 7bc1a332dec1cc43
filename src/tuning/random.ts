/**
 * Seeded randomness: independent streams by name, so that drawing more of one thing (say, the initial prompt) never changes
 * another (the order of the rows).
 *
 * xoshiro128** 1.1 by Blackman and Vigna (https://prng.di.unimi.it), seeded through splitmix32.
 */

function splitmix32(state: number): () => number {
  let x = state >>> 0
  return () => {
    x = (x + 0x9e3779b9) >>> 0
    let z = x
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }
}

/** FNV-1a over UTF-16 units, 32 bits. Also used to fingerprint data. */
export function hash32(text: string, from = 0x811c9dc5): number {
  let hash = from
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

const rotateLeft = (x: number, k: number): number => (x << k) | (x >>> (32 - k))

export class Random {
  private a: number
  private b: number
  private c: number
  private d: number
  private spare: number | null = null

  /** @param seed 0 .. 2^32-1; the same seed and stream name give the same numbers everywhere. */
  constructor(seed: number, stream: string) {
    const next = splitmix32((seed ^ hash32(stream)) >>> 0)
    this.a = next()
    this.b = next()
    this.c = next()
    // The all-zero state is the one xoshiro never leaves.
    this.d = next() | 1
  }

  /** The next 32 random bits. */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.b, 5), 7), 9) >>> 0
    const t = this.b << 9
    this.c ^= this.a
    this.d ^= this.b
    this.b ^= this.c
    this.a ^= this.d
    this.c ^= t
    this.d = rotateLeft(this.d, 11)
    return result
  }

  /** Uniform in [0, 1), 32 bits of it. */
  uniform(): number {
    return this.uint32() / 2 ** 32
  }

  /** A whole number in [0, n), without bias, for n up to 2^32. */
  below(n: number): number {
    const limit = 2 ** 32 - (2 ** 32 % n)
    for (;;) {
      const x = this.uint32()
      if (x < limit) return x % n
    }
  }

  /** Standard normal, by Box and Muller. */
  normal(): number {
    if (this.spare !== null) {
      const value = this.spare
      this.spare = null
      return value
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()))
    const angle = 2 * Math.PI * this.uniform()
    this.spare = radius * Math.sin(angle)
    return radius * Math.cos(angle)
  }

  /** A shuffled copy (Fisher and Yates). */
  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items]
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const x = result[i]
      const y = result[j]
      if (x === undefined || y === undefined) continue
      result[i] = y
      result[j] = x
    }
    return result
  }
}
