import { describe, expect, test } from 'vitest';
import { afterLook, decideGate, type GateState, nameOfGate, UNASKED } from './gates-decision.ts';
import { answerProblem } from './gates-prometheus.ts';
import { gate } from './gates-spec.ts';

const http = gate.parse({ http: { port: 8080, path: '/health' }, attempts: 2, interval: '10s' });
const held = gate.parse({
  prometheus: { url: 'http://prometheus:9090', query: 'up', expect: '== 1', for: '1m' },
  attempts: 2,
  interval: '10s',
});

describe('a gate', () => {
  test.each<[string, typeof http, GateState, number, object]>([
    ['is asked at first', http, UNASKED, 0, { do: 'look' }],
    ['lets pass for good', http, { badLooks: 1, passed: true }, 0, { do: 'pass' }],
    [
      'waits for its interval after a bad look',
      http,
      { badLooks: 1, lookedAt: 0, problem: 'down' },
      9_999,
      { do: 'wait', words: 'down; bad look 1 of 2' },
    ],
    [
      'is asked again afterwards',
      http,
      { badLooks: 1, lookedAt: 0, problem: 'down' },
      10_000,
      { do: 'look' },
    ],
    [
      'is asked by a worker whose clock is behind',
      http,
      { badLooks: 1, lookedAt: 60_000, problem: 'down' },
      0,
      { do: 'look' },
    ],
    [
      'is closed for good after its attempts, also when asked much later',
      http,
      { badLooks: 2, lookedAt: 0, problem: 'down' },
      99_999_999,
      { do: 'close', words: 'down (2 bad looks)' },
    ],
    [
      'says how long it was good of the time that is wanted',
      held,
      { badLooks: 0, lookedAt: 30_000, goodSince: 0 },
      30_000,
      { do: 'wait', words: 'good for 30s of 1m' },
    ],
  ])('%s', (_, each, state, nowMs, decision) => {
    expect(decideGate(each, state, nowMs)).toEqual(decision);
  });

  test('without a time to hold is passed by one good look', () => {
    expect(afterLook(http, UNASKED, undefined, 5)).toMatchObject({ passed: true });
  });

  test('with a time to hold is passed when every look of that time was good', () => {
    const first = afterLook(held, UNASKED, undefined, 0);
    expect(first).not.toHaveProperty('passed');
    const bad = afterLook(held, first, 'the query gives nothing', 50_000);
    expect(bad).toEqual({ badLooks: 1, lookedAt: 50_000, problem: 'the query gives nothing' });
    const again = afterLook(held, bad, undefined, 60_000);
    expect(afterLook(held, again, undefined, 119_999)).not.toHaveProperty('passed');
    expect(afterLook(held, again, undefined, 120_000)).toMatchObject({ passed: true, badLooks: 1 });
  });

  test('is named without the query of its address, which may hold a token', () => {
    const url = 'https://checks.example/twin?token=marker';
    expect(nameOfGate(gate.parse({ http: { url } }))).toBe('http https://checks.example/twin');
  });
});

const vector = (...values: (string | undefined)[]) =>
  JSON.stringify({
    status: 'success',
    data: {
      resultType: 'vector',
      result: values.map((value, index) => ({
        metric: { pod: `p${index}` },
        ...(value === undefined ? { histogram: [0, {}] } : { value: [1_700_000_000, value] }),
      })),
    },
  });
const scalar = (value: string) =>
  JSON.stringify({ status: 'success', data: { resultType: 'scalar', result: [1_700_000_000, value] } });

describe('an answer of Prometheus', () => {
  test.each<[string, string, string, RegExp | undefined]>([
    ['a scalar as expected', scalar('0.005'), '< 0.01', undefined],
    ['a scalar that is not', scalar('0.02'), '< 0.01', /the value is 0.02 instead of < 0.01/],
    ['a vector, each as expected', vector('1', '1'), '==1', undefined],
    ['a vector with one that is not', vector('1', '0'), '== 1', /pod="p1" is 0 instead of == 1/],
    ['nothing at all', vector(), '>= 0', /gives nothing/],
    ['not a number', scalar('NaN'), '!= 5', /NaN/],
    ['infinity', scalar('+Inf'), '> 1e9', undefined],
    ['a histogram', vector(undefined), '>= 0', /NaN/],
    [
      'a range',
      JSON.stringify({ status: 'success', data: { resultType: 'matrix', result: [] } }),
      '> 0',
      /matrix/,
    ],
    [
      'a warning beside a good value',
      JSON.stringify({ ...JSON.parse(scalar('1')), warnings: ['store a is down'] }),
      '== 1',
      /may be wrong: store a is down/,
    ],
    [
      'an informative note beside a good value',
      JSON.stringify({ ...JSON.parse(scalar('1')), infos: ['no counter'] }),
      '== 1',
      undefined,
    ],
    [
      'a mistake in the query',
      JSON.stringify({ status: 'error', errorType: 'bad_data', error: 'parse error' }),
      '== 1',
      /status 400 \(bad_data: parse error\)/,
    ],
    ['a page of a proxy', '<html>', '== 1', /status 400$/],
  ])('%s', (_, body, expected, problem) => {
    const seen = answerProblem(body.includes('success') ? 200 : 400, body, expected);
    if (problem) expect(seen).toMatch(problem);
    else expect(seen).toBeUndefined();
  });
});
