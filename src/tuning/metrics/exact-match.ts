/** Exact match: the same text but for blanks around it. */
export const exactMatch = (prediction: string, reference: string): boolean => prediction.trim() === reference.trim()
