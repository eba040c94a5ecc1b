import js from '@eslint/js';
import lit from 'eslint-plugin-lit';
import wc from 'eslint-plugin-wc';
import tseslint from 'typescript-eslint';

/** The engine runs unchanged in browsers, in the lab and in the simulation: what is outside comes through client/ports. */
const engine = [
  'client/swarm/**',
  'client/planner/**',
  'client/partition/**',
  'client/pipeline/**',
  'client/data/**',
  'client/model/**',
  'client/ports/**',
  'shared/**',
];
const outsideWorld = [
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'requestAnimationFrame',
  'requestIdleCallback',
  'Date',
  'performance',
  'crypto',
  'fetch',
  'document',
  'window',
  'navigator',
  'location',
  'localStorage',
  'indexedDB',
  'Worker',
  'WebSocket',
  'RTCPeerConnection',
  'process',
];

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'coverage', 'out', 'model'] },
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
    },
  },
  { files: ['client/app/**'], ...lit.configs['flat/recommended'] },
  { files: ['client/app/**'], ...wc.configs['flat/recommended'] },
  {
    files: engine,
    rules: {
      'no-restricted-globals': [
        'error',
        ...outsideWorld.map((name) => ({
          name,
          message: `The engine gets ${name} through a port (client/ports).`,
        })),
      ],
      'no-restricted-properties': [
        'error',
        {
          object: 'Math',
          property: 'random',
          message: 'The engine gets random numbers through a port (client/ports/random.ts).',
        },
        {
          object: 'globalThis',
          property: 'setTimeout',
          message: 'The engine gets time through client/ports/clock.ts.',
        },
      ],
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: [
                '@tensorflow/*',
                'simple-peer*',
                'socket.io*',
                'lit',
                'lit/*',
                'idb',
                'node:*',
                'playwright*',
              ],
              message: 'The engine gets the outside world through client/ports.',
            },
            {
              group: ['**/link/*', '**/app/*', '**/cli/*', '**/engine/*'],
              message: 'Dependencies point one way: adapters implement ports, the engine never imports them.',
            },
          ],
        },
      ],
    },
  },
  { files: ['**/*.js', '**/*.mjs'], ...tseslint.configs.disableTypeChecked },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', name: ['it', 'test', 'describe', 'suite'], package: 'node:test' },
          ],
        },
      ],
    },
  },
  {
    // chai's string assertions are typed as promises by @open-wc/semantic-dom-diff.
    files: ['test/browser/**/*.ts'],
    rules: { '@typescript-eslint/no-floating-promises': 'off' },
  },
);
