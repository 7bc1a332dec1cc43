/** Tasks' names as parts of folder names: readable, usable on any file system, and no two the same. Pure. */

/** File systems stop at 255 bytes; a letter may take four. */
const LONGEST = 50

/** A name for each task, in their order. The task's number is put behind one that is empty or taken (folders may not tell cases apart). */
export function taskFolders(names: readonly string[]): readonly string[] {
  const taken = new Set<string>()
  return names.map((name, index) => {
    const plain = [...name.replace(/[^\p{L}\p{N}_.-]+/gu, '-')].slice(0, LONGEST).join('')
    // Windows drops dots at the end.
    const readable = plain.replace(/^-+|[-.]+$/g, '')
    let folder = readable === '' ? `${index}` : readable
    while (taken.has(folder.toLowerCase())) folder = `${folder}-${index}`
    taken.add(folder.toLowerCase())
    return folder
  })
}
