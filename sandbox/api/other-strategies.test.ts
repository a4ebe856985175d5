import { expect, test } from 'vitest';
import type { JsonObject } from './json.ts';
import { otherStrategies } from './other-strategies.ts';

const backend = { service: { name: 'a', port: { name: 'http' } } };
const ingress = (path: JsonObject): JsonObject => ({
  metadata: { name: 'a' },
  spec: { rules: [{ http: { paths: [path] } }] },
});
const field = 'spec.rules[0].http.paths[0]';

test.each<[string, JsonObject, string[]]>([
  ['is complete', ingress({ path: '/', pathType: 'Prefix', backend }), []],
  ['leads nowhere', { metadata: { name: 'a' }, spec: {} }, ['spec']],
  ['has a path of no type', ingress({ path: '/', backend }), [`${field}.pathType`]],
  ['has a path of another type', ingress({ path: '/', pathType: 'Regex', backend }), [`${field}.pathType`]],
  ['has a path to nobody', ingress({ path: '/', pathType: 'Exact' }), [`${field}.backend`]],
])('an Ingress that %s', (_, object, fields) => {
  const causes = otherStrategies['networking.k8s.io/Ingress']?.validate?.(object) ?? [];
  expect(causes.map((cause) => cause.field)).toEqual(fields);
});
