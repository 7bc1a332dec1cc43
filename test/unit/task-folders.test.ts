import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskFolders } from '../../cli/task-folders'

test('readable where they can be', () => {
  expect(taskFolders(['sentiment', 'Gefühl: ja/nein', 'вопрос'])).toEqual(['sentiment', 'Gefühl-ja-nein', 'вопрос'])
  expect(taskFolders(['a b', 'a/b', 'A-B', '', '///', '..'])).toEqual(['a-b', 'a-b-1', 'A-B-2', '3', '4', '5'])
})

test('whatever the tasks are called, every one has a folder of its own that stays below its parent', () => {
  const name = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a', 'A', 'a b', 'a-1', '..', '/', '1', 'x'.repeat(300)))
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 12 }), (names) => {
      const folders = taskFolders(names)
      expect(new Set(folders.map((folder) => folder.toLowerCase())).size).toBe(names.length)
      for (const folder of folders) {
        expect(folder).toMatch(/^[\p{L}\p{N}_.-]+$/u)
        expect(folder).not.toMatch(/^\.+$/)
        expect(new TextEncoder().encode(folder).length).toBeLessThan(240)
      }
    }),
  )
})
