import { expect, test } from 'vitest';
import { decideReadiness } from './readiness.ts';

const event = { secretId: 'db', versionId: 'v2', step: 'setSecret', rotationToken: undefined } as const;

test.each([
  ['pending', { v1: ['AWSCURRENT'], v2: ['AWSPENDING'] }, 'go'],
  ['current already', { v1: ['AWSPREVIOUS'], v2: ['AWSCURRENT', 'AWSPENDING'] }, 'done-already'],
])('a version that is %s', (_name, stages, expected) => {
  expect(decideReadiness({ rotationEnabled: true, stages }, event)).toBe(expected);
  // A secret whose rotation was never configured: AWS's functions go on, too.
  expect(decideReadiness({ rotationEnabled: undefined, stages }, event)).toBe(expected);
});

test.each([
  ['rotation is off', false, { v2: ['AWSPENDING'] }, 'not enabled for rotation'],
  ['the version has no stage', true, { v1: ['AWSCURRENT'] }, 'has no stage'],
  ['the version is the previous one', true, { v2: ['AWSPREVIOUS'] }, 'carries AWSPREVIOUS'],
  ['its labels are gone', true, { v2: [] }, 'no label'],
])('no step when %s', (_name, rotationEnabled, stages, words) => {
  expect(() => decideReadiness({ rotationEnabled, stages }, event)).toThrow(
    expect.objectContaining({ code: 'function.not-rotatable', message: expect.stringContaining(words) }),
  );
});
