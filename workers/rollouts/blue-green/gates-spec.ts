import { z } from 'zod';
import { argv, duration, jsonPointer, url } from '../reload/spec.ts';

/** A port of the twin's own pods, by number or name, and a path on it. */
export const podPort = {
  port: z.union([z.int().min(1).max(65_535), z.string().regex(/^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/)]),
  path: z.string().startsWith('/').default('/'),
};

const look = {
  timeout: duration.default('5s').describe('One look is given up after that long'),
  attempts: z.int().min(1).max(1000).default(3).describe('So many bad looks close the gate for good'),
  interval: duration.default('5s').describe('From one look to the next'),
};
const answer = {
  expectStatus: z.int().min(100).max(599).default(200),
  versionPointer: jsonPointer.optional().describe('Where the answer names the version it runs with'),
};
const http = z.union([z.strictObject({ url, ...answer }), z.strictObject({ ...podPort, ...answer })]);
const prometheus = z.strictObject({
  url: url.describe('Of the server; `/api/v1/query` is put behind it'),
  query: z.string().min(1),
  expect: z
    .string()
    .regex(/^(<|<=|>|>=|==|!=) ?[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/, {
      error: 'must be a comparison such as "< 0.01"',
    })
    .describe('Every value of the result must be so'),
  for: duration.optional().describe('How long it must be so at every look; once is enough when absent'),
});

/** `consumers[].blueGreen.gates`: asked in this order, when the twin is ready and before any client meets it. */
export const gate = z.union([
  z.strictObject({ http, ...look }),
  z.strictObject({ prometheus, ...look }),
  z.strictObject({ command: argv, ...look }),
]);

export type Gate = z.infer<typeof gate>;
