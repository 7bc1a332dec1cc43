/**
 * Type-aware lint, and the one-way imports of DESIGN.md: a room may import the rooms it stands on, never the other way.
 */
import js from '@eslint/js'
import prettier from 'eslint-config-prettier'
import svelte from 'eslint-plugin-svelte'
import globals from 'globals'
import ts from 'typescript-eslint'
import svelteConfig from './svelte.config.js'

/** room -> rooms it may import (besides itself and packages). */
const MAY_IMPORT = {
  graph: [],
  engine: ['graph'],
  job: [],
  tuning: ['engine', 'job', 'library'],
  library: ['engine', 'job'],
  formats: ['graph', 'job', 'library'],
  models: ['engine', 'graph', 'job', 'library', 'formats'],
  ui: ['job', 'library', 'models'],
}
/** Packages only one room may touch. */
const PACKAGE_HOMES = {
  svelte: ['ui'],
  uplot: ['ui'],
  '@tensorflow/*': ['engine'],
  '@huggingface/transformers': ['models'],
  'idb-keyval': ['library', 'models'],
}

const rooms = Object.keys(MAY_IMPORT)
const oneWayImports = rooms.map((room) => {
  const allowed = new Set([room, ...MAY_IMPORT[room]])
  const forbidden = rooms.filter((other) => !allowed.has(other))
  const homes = Object.entries(PACKAGE_HOMES).filter(([, where]) => !where.includes(room))
  return {
    files: [`src/${room}/**/*.{ts,svelte}`],
    ignores: ['**/*.test.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            ...forbidden.map((other) => ({
              group: [`**/${other}/*`, `**/${other}`, `!./${other}/*`, `!./${other}`],
              // Types are erased: they couple no code, and the protocol's own types come from the library and engine.
              allowTypeImports: room === 'ui',
              message: `src/${room} may not import src/${other} (see eslint.config.js).`,
            })),
            {
              group: ['**/workers/**', '**/cli/**', '**/test/**'],
              message: 'src never imports workers, cli or test.',
              allowTypeImports: false,
            },
            ...homes.map(([name, where]) => ({
              group: [name, `${name}/*`],
              message: `Only src/${where.join(', src/')} imports ${name}.`,
            })),
          ],
        },
      ],
      ...(room === 'ui'
        ? {}
        : { 'no-restricted-globals': ['error', { name: 'self', message: 'Only workers/ touches self.' }, 'document', 'window'] }),
    },
  }
})

export default ts.config(
  { ignores: ['dist', 'out', 'node_modules', 'public', 'test/fixtures', 'test-results'] },
  js.configs.recommended,
  ...ts.configs.recommendedTypeChecked,
  ...svelte.configs.recommended,
  prettier,
  ...svelte.configs.prettier,
  {
    languageOptions: {
      globals: { ...globals.browser, ...globals.node },
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js'] },
        extraFileExtensions: ['.svelte'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      'no-restricted-syntax': ['error', { selector: 'TSAnyKeyword', message: 'No any.' }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, svelteConfig } },
  },
  { files: ['*.js'], ...ts.configs.disableTypeChecked },
  ...oneWayImports,
)
