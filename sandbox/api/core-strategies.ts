import { jsonIn } from '../../core/json.ts';
import {
  ensureObject,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  same,
  textAt,
  valueAt,
} from './json.ts';
import { fill, podSpecDefaults } from './pod-defaults.ts';
import { podSpecCauses } from './pod-validation.ts';
import { ApiError, type Cause, forbiddenField, invalidValue, required, tooLong } from './status.ts';
import type { Strategy } from './strategy.ts';

const CONFIG_KEY = /^[-._a-zA-Z0-9]+$/;
const CONFIG_KEY_RULE =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const FROZEN = 'field is immutable when `immutable` is set';

function keyCauses(object: JsonObject, ...fields: string[]): Cause[] {
  return fields.flatMap((field) =>
    Object.keys(objectAt(object, field))
      .filter((key) => !CONFIG_KEY.test(key))
      .map((key) => invalidValue(`${field}[${key}]`, key, CONFIG_KEY_RULE)),
  );
}

/** An object marked `immutable` keeps its data and the mark for good. */
function frozenCauses(object: JsonObject, before: JsonObject, ...fields: string[]): Cause[] {
  if (before.immutable !== true) return [];
  const causes = object.immutable === true ? [] : [forbiddenField('immutable', FROZEN)];
  for (const field of fields) {
    if (!same(object[field], before[field])) causes.push(forbiddenField(field, FROZEN));
  }
  return causes;
}

/** Where in a text base64 ends to be base64, as the Go decoder counts. */
function illegalByte(text: string): number | undefined {
  const at = text.search(/[^A-Za-z0-9+/=]/);
  if (at >= 0) return at;
  const padding = /^[^=]*(={0,2})$/.exec(text);
  if (padding && text.length % 4 === 0) return undefined;
  const first = text.indexOf('=');
  return first >= 0 ? first : Math.floor(text.length / 4) * 4;
}

/** Of all values together, in bytes. */
const MOST = 1_048_576;

function sizeCauses(object: JsonObject, ...fields: string[]): Cause[] {
  const sizes = fields.flatMap((field) =>
    Object.values(objectAt(object, field)).map((value) =>
      Buffer.byteLength(String(value), field === 'data' && fields.length > 1 ? 'utf8' : 'base64'),
    ),
  );
  const size = sizes.reduce((sum, each) => sum + each, 0);
  return size > MOST ? [tooLong(fields.length > 1 ? '' : 'data', MOST)] : [];
}

const NEEDED: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
};

/** What each type of Secret has to hold. */
function typeCauses(secret: JsonObject): Cause[] {
  const type = textAt(secret, 'type') ?? '';
  const data = objectAt(secret, 'data');
  const missing = (NEEDED[type] ?? []).filter((key) => data[key] === undefined);
  if (type === 'kubernetes.io/basic-auth' && data.username === undefined && data.password === undefined)
    missing.push('username', 'password');
  const causes = missing.map((key) => required(`data[${key}]`));
  for (const key of ['.dockerconfigjson', '.dockercfg']) {
    const text = NEEDED[type]?.includes(key) ? textAt(secret, 'data', key) : undefined;
    if (text !== undefined && !isJson(text))
      causes.push(invalidValue(`data[${key}]`, '<secret contents redacted>', 'invalid character'));
  }
  return causes;
}

function isJson(base64: string): boolean {
  return jsonIn(Buffer.from(base64, 'base64').toString('utf8')) !== undefined;
}

const secret: Strategy = {
  defaults: (object) => {
    for (const [key, value] of Object.entries(objectAt(object, 'data'))) {
      const bad = typeof value === 'string' ? illegalByte(value) : undefined;
      if (value === null) ensureObject(object, 'data')[key] = '';
      if (bad === undefined) continue;
      const why = `illegal base64 data at input byte ${bad}`;
      throw new ApiError(400, 'BadRequest', `Secret in version "v1" cannot be handled as a Secret: ${why}`);
    }
    for (const [key, value] of Object.entries(objectAt(object, 'stringData'))) {
      ensureObject(object, 'data')[key] = Buffer.from(String(value)).toString('base64');
    }
    delete object.stringData;
    fill(object, { type: 'Opaque' });
    if (isObject(object.data) && Object.keys(object.data).length === 0) delete object.data;
  },
  validate: (object) => [...keyCauses(object, 'data'), ...sizeCauses(object, 'data'), ...typeCauses(object)],
  validateUpdate: (object, before) => {
    const kept = object.type === before.type;
    const causes = kept ? [] : [invalidValue('type', object.type, 'field is immutable')];
    return [...causes, ...frozenCauses(object, before, 'data')];
  },
};

const configMap: Strategy = {
  validate: (object) => [
    ...keyCauses(object, 'data', 'binaryData'),
    ...sizeCauses(object, 'data', 'binaryData'),
  ],
  validateUpdate: (object, before) => frozenCauses(object, before, 'data', 'binaryData'),
};

const namespace: Strategy = {
  created: (object) => {
    object.status = { phase: 'Active' };
    ensureObject(object, 'spec').finalizers = ['kubernetes'];
  },
  defaults: (object) => {
    ensureObject(object, 'metadata', 'labels')['kubernetes.io/metadata.name'] =
      valueAt(object, 'metadata', 'name') ?? '';
  },
  // Only the finalize subresource changes the finalizers of the spec.
  updated: (object, before) => {
    object.spec = structuredClone(before.spec);
  },
};

const pod: Strategy = {
  created: (object) => {
    const spec = ensureObject(object, 'spec');
    fill(spec, { enableServiceLinks: true, priority: 0, preemptionPolicy: 'PreemptLowerPriority' });
    const tolerations = objectsAt(spec, 'tolerations');
    for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
      if (tolerations.some((item) => item.key === key || item.key === undefined)) continue;
      tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 });
    }
    spec.tolerations = tolerations;
    object.status = { phase: 'Pending', qosClass: qualityOf(spec) };
  },
  defaults: (object) => podSpecDefaults(ensureObject(object, 'spec')),
  validate: (object) => podSpecCauses(objectAt(object, 'spec'), 'spec'),
  validateUpdate: (object, before) => {
    if (same(fixedPart(object), fixedPart(before))) return [];
    const why =
      'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';
    return [forbiddenField('spec', why)];
  },
};

function qualityOf(spec: JsonObject): string {
  const resources = objectsAt(spec, 'containers').map((container) => objectAt(container, 'resources'));
  if (resources.every(({ requests, limits }) => !requests && !limits)) return 'BestEffort';
  const guaranteed = resources.every(({ requests, limits }) => {
    const both = isObject(limits) && limits.cpu !== undefined && limits.memory !== undefined;
    return both && (requests === undefined || same(requests, limits));
  });
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

/** The part of a pod's spec that nobody may change. */
function fixedPart(object: JsonObject): JsonObject {
  const spec = structuredClone(objectAt(object, 'spec'));
  for (const container of [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')]) {
    delete container.image;
  }
  for (const name of ['activeDeadlineSeconds', 'tolerations', 'terminationGracePeriodSeconds'])
    delete spec[name];
  return spec;
}

const service: Strategy = {
  created: (object, world) => {
    const spec = ensureObject(object, 'spec');
    fill(spec, { type: 'ClusterIP' });
    object.status = { loadBalancer: {} };
    if (spec.type === 'ExternalName') return;
    const address = `10.0.${world.random.int(256)}.${1 + world.random.int(254)}`;
    fill(spec, { clusterIP: address });
    fill(spec, {
      clusterIPs: [spec.clusterIP ?? address],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    });
  },
  updated: (object, before) => {
    const kept = objectAt(before, 'spec');
    const spec = ensureObject(object, 'spec');
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) {
      if (kept[field] !== undefined) fill(spec, { [field]: kept[field] });
    }
  },
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    fill(spec, { type: 'ClusterIP', sessionAffinity: 'None' });
    if (spec.type !== 'ExternalName') fill(spec, { internalTrafficPolicy: 'Cluster' });
    for (const port of objectsAt(spec, 'ports')) fill(port, { protocol: 'TCP', targetPort: port.port ?? 0 });
  },
  validate: (object) => {
    const spec = objectAt(object, 'spec');
    if (spec.type === 'ExternalName' || spec.clusterIP === 'None' || objectsAt(spec, 'ports').length > 0)
      return [];
    return [required('spec.ports')];
  },
  validateUpdate: (object, before) => {
    const now = valueAt(object, 'spec', 'clusterIP');
    if (same(now, valueAt(before, 'spec', 'clusterIP')) || valueAt(object, 'spec', 'type') === 'ExternalName')
      return [];
    return [invalidValue('spec.clusterIPs[0]', now, 'may not change once set')];
  },
};

/** Kinds of the core group. */
export const coreStrategies: Readonly<Record<string, Strategy>> = {
  '/Secret': secret,
  '/ConfigMap': configMap,
  '/Namespace': namespace,
  '/Pod': pod,
  '/Service': service,
};
