import { type KubeObject, objectAt, objectsAt, textAt, textsAt } from './json.ts';
import type { ResourceType } from './resources.ts';
import { type Cause, invalidValue, required } from './status.ts';

export const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const NAME_PART = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
export const DNS_LABEL_RULE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const VALUE_RULE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const KEY_RULE =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/** Causes against a name, by the rule of its kind. */
export function nameCauses(type: ResourceType, name: string, field = 'metadata.name'): Cause[] {
  if (type.group === 'rbac.authorization.k8s.io') {
    return /[/%]/.test(name) || name === '.' || name === '..'
      ? [invalidValue(field, name, "may not contain '/' or '%'")]
      : [];
  }
  if (type.kind === 'Namespace' || (type.kind === 'Service' && type.group === '')) {
    return [
      ...tooLong(field, name, 63),
      ...(DNS_LABEL.test(name) ? [] : [invalidValue(field, name, DNS_LABEL_RULE)]),
    ];
  }
  return [
    ...tooLong(field, name, 253),
    ...(SUBDOMAIN.test(name) ? [] : [invalidValue(field, name, SUBDOMAIN_RULE)]),
  ];
}

function tooLong(field: string, name: string, most: number): Cause[] {
  return name.length > most ? [invalidValue(field, name, `must be no more than ${most} characters`)] : [];
}

/** Causes against what all objects have: name, labels, annotations, owners. */
export function validateMetadata(type: ResourceType, object: KubeObject): Cause[] {
  const name = textAt(object, 'metadata', 'name') ?? '';
  if (name === '') return [required('metadata.name', 'name or generateName is required')];
  const causes = nameCauses(type, name);
  for (const [key, value] of Object.entries(objectAt(object, 'metadata', 'labels'))) {
    causes.push(...labelCauses('metadata.labels', key, value));
  }
  for (const key of Object.keys(objectAt(object, 'metadata', 'annotations'))) {
    causes.push(...keyCauses('metadata.annotations', key.toLowerCase(), key));
  }
  objectsAt(object, 'metadata', 'ownerReferences').forEach((owner, index) => {
    for (const field of ['apiVersion', 'kind', 'name', 'uid']) {
      const path = `metadata.ownerReferences[${index}]`;
      if (!textAt(owner, field)) causes.push(invalidValue(`${path}.${field}`, '', 'must not be empty'));
    }
  });
  for (const finalizer of textsAt(object, 'metadata', 'finalizers')) {
    causes.push(...keyCauses('metadata.finalizers', finalizer, finalizer));
  }
  return causes;
}

/** Causes against one label. */
export function labelCauses(field: string, key: string, value: unknown): Cause[] {
  const causes = keyCauses(field, key, key);
  if (typeof value !== 'string') return [...causes, invalidValue(field, value, 'must be a string')];
  if (value.length > 63) causes.push(invalidValue(field, value, 'must be no more than 63 characters'));
  if (value !== '' && !NAME_PART.test(value)) causes.push(invalidValue(field, value, VALUE_RULE));
  return causes;
}

function keyCauses(field: string, key: string, shown: string): Cause[] {
  const [prefix, name, more] = key.includes('/') ? key.split('/') : [undefined, key];
  if (more !== undefined || (prefix !== undefined && !SUBDOMAIN.test(prefix))) {
    return [invalidValue(field, shown, 'prefix part must be a DNS subdomain')];
  }
  const causes =
    (name ?? '').length > 63
      ? [invalidValue(field, shown, 'name part must be no more than 63 characters')]
      : [];
  return NAME_PART.test(name ?? '') ? causes : [...causes, invalidValue(field, shown, KEY_RULE)];
}
