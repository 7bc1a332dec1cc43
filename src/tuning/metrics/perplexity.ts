/** Perplexity: how many tokens the model wavers between, on average. */

/** e^700 is about 1e304: losses beyond are shown as that, because JSON knows no Infinity. */
const LARGEST_LOSS = 700

/** @param loss mean cross-entropy per token, nats. @returns at most e^700; NaN for NaN. */
export const perplexity = (loss: number): number => Math.exp(Math.min(loss, LARGEST_LOSS))
