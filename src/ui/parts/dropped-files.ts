/** Files out of a drop or a file input, folders walked, as FileEntry with paths relative to what was dropped. Needs a DOM. */
import type { FileEntry } from '../../protocol'

/** A folder with more files than this is no model and no data set; walking it would hang the page. */
const MOST = 2000

export const entriesOfInput = (files: FileList | null): FileEntry[] =>
  [...(files ?? [])]
    .slice(0, MOST)
    .map((file) => ({ path: file.webkitRelativePath === '' ? file.name : file.webkitRelativePath, blob: file }))

export async function entriesOfDrop(data: DataTransfer | null): Promise<FileEntry[]> {
  if (!data) return []
  // Both lists are emptied once the event handler gives up control: read them first.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null)
  const plain = [...data.files]
  if (!entries.some((entry) => entry.isDirectory)) return plain.map((file) => ({ path: file.name, blob: file }))
  const found: FileEntry[] = []
  const waiting = entries
  while (waiting.length > 0 && found.length < MOST) {
    const entry = waiting.shift()
    if (isFile(entry))
      found.push({
        path: entry.fullPath.replace(/^\//, ''),
        blob: await new Promise<File>((done, fail) => entry.file(done, fail)),
      })
    else if (isDirectory(entry)) waiting.push(...(await children(entry)))
  }
  return found
}

const isFile = (entry: FileSystemEntry | undefined): entry is FileSystemFileEntry => entry?.isFile === true
const isDirectory = (entry: FileSystemEntry | undefined): entry is FileSystemDirectoryEntry => entry?.isDirectory === true

async function children(directory: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = directory.createReader()
  const all: FileSystemEntry[] = []
  for (;;) {
    // readEntries hands out about a hundred at a time, and an empty list at the end.
    const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail))
    if (some.length === 0 || all.length > MOST) return all
    all.push(...some)
  }
}
