import { expect, test } from 'vitest';
import {
  discarding,
  idLabel,
  type ParameterVersion,
  PLACEHOLDER,
  promotion,
  stageOf,
  tidying,
  unlabelled,
  versionWith,
} from './labels.ts';

const path = 'shop/app';

function version(number: number, ...labels: string[]): ParameterVersion {
  const modifiedAt = new Date(number * 1_000);
  return {
    number,
    labels,
    modifiedAt,
    type: 'SecureString',
    tier: 'Standard',
    keyId: undefined,
    description: undefined,
  };
}

const a = (...stages: string[]) => version(1, idLabel('a'), ...stages);
const b = (...stages: string[]) => version(2, idLabel('b'), ...stages);

test('the current label moves in one step, after the way back is labelled', () => {
  expect(promotion([a('rotor-current'), b('rotor-pending')], path, 'b', 'a')).toEqual([
    { label: ['rotor-previous'], on: 1 },
    { label: ['rotor-current'], on: 2 },
    { unlabel: ['rotor-pending'], on: 2 },
  ]);
});

test('a worker that dies between any two of these leaves the old version current, or the new one', () => {
  const between = [
    [a('rotor-current', 'rotor-previous'), b('rotor-pending')],
    [a('rotor-previous'), b('rotor-pending', 'rotor-current')],
  ];
  const currents = between.map((history) => versionWith(history, 'current')?.number);
  expect(currents).toEqual([1, 2]);
  expect(promotion(between[0] ?? [], path, 'b', 'a')).toHaveLength(3);
  expect(promotion(between[1] ?? [], path, 'b', 'a')).toEqual([{ unlabel: ['rotor-pending'], on: 2 }]);
});

test('before Rotor has touched a parameter its newest version is current, later only the labelled one', () => {
  const untouched = [version(1), version(2, 'golden')];
  expect(versionWith(untouched, 'current')?.number).toBe(2);
  const touched = [version(1, 'rotor-current'), version(2)];
  expect(versionWith(touched, 'current')?.number).toBe(1);
  expect(unlabelled(touched).map(({ number }) => number)).toEqual([2]);
});

test('the version that a parameter of Rotor starts with is no version', () => {
  const placeholder = { ...version(1), description: PLACEHOLDER };
  expect(stageOf([placeholder], placeholder)).toBeUndefined();
  // What is written next is not taken for the current one, although it has no label yet.
  expect(versionWith([placeholder, version(2)], 'current')).toBeUndefined();
});

test('labels of old versions are taken off, so that AWS can drop them; stages and foreign labels stay', () => {
  const history = Array.from({ length: 14 }, (_, index) => version(index + 1, idLabel(`v${index}`)));
  const staged = [
    ...history,
    version(15, idLabel('p'), 'rotor-previous'),
    version(16, idLabel('c'), 'rotor-current'),
  ];
  expect(tidying([version(0, 'golden'), ...staged])).toEqual(
    [4, 3, 2, 1].map((number) => ({ unlabel: [idLabel(`v${number - 1}`)], on: number })),
  );
});

test('discarding takes Rotor’s labels off, and refuses the current version', () => {
  const history = [a('rotor-current'), b('rotor-pending')];
  expect(discarding([a('rotor-current'), { ...b('rotor-pending', 'golden') }], path, 'b')).toEqual([
    { unlabel: [idLabel('b'), 'rotor-pending'], on: 2 },
  ]);
  expect(() => discarding(history, path, 'a')).toThrow('is current');
  expect(discarding(history, path, 'unknown')).toEqual([]);
});
