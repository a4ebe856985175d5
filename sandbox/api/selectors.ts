import { type Json, type KubeObject, objectAt, valueAt } from './json.ts';
import { badRequest } from './status.ts';

export type Predicate = (object: KubeObject) => boolean;

/** Splits at commas that are not inside parentheses. */
function terms(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== '');
}

/** `a=b,c!=d,e in (f,g),h notin (i),j,!k`. @throws ApiError 400 */
export function labelSelector(text: string): Predicate {
  const tests = terms(text).map(labelTerm);
  return (object) => {
    const labels = objectAt(object, 'metadata', 'labels');
    return tests.every((test) => test(labels));
  };
}

type LabelTest = (labels: { [key: string]: Json | undefined }) => boolean;

function labelTerm(term: string): LabelTest {
  const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(term);
  if (set) {
    const [, key = '', operator, list = ''] = set;
    const values = list.split(',').map((value) => value.trim());
    const isIn: LabelTest = (labels) => {
      const value = labels[key];
      return typeof value === 'string' && values.includes(value);
    };
    return operator === 'in' ? isIn : (labels) => !isIn(labels);
  }
  const equal = /^([^\s=!]+)\s*(==|=|!=)\s*([^\s=!]*)$/.exec(term);
  if (equal) {
    const [, key = '', operator, value] = equal;
    return operator === '!=' ? (labels) => labels[key] !== value : (labels) => labels[key] === value;
  }
  if (/^!\s*[\w./-]+$/.test(term)) {
    const key = term.slice(1).trim();
    return (labels) => labels[key] === undefined;
  }
  if (/^[\w./-]+$/.test(term)) return (labels) => labels[term] !== undefined;
  const [first, second = ''] = term.split(/\s+/);
  const after = /^[\w./-]+$/.test(first ?? '') ? 'in, notin, =, ==, !=, gt, lt' : 'identifier';
  throw badRequest(`unable to parse requirement: found '${second || first}', expected: ${after}`);
}

/** A LabelSelector object (`matchLabels`, `matchExpressions`) as a predicate on labels. */
export function objectSelector(selector: Json | undefined): LabelTest {
  const tests: LabelTest[] = Object.entries(objectAt(selector, 'matchLabels')).map(
    ([key, value]) =>
      (labels) =>
        labels[key] === value,
  );
  const expressions = valueAt(selector, 'matchExpressions');
  for (const expression of Array.isArray(expressions) ? expressions : []) {
    const key = String(valueAt(expression, 'key'));
    const values = valueAt(expression, 'values');
    const among = (value: Json | undefined) =>
      value !== undefined && Array.isArray(values) && values.includes(value);
    const operator = valueAt(expression, 'operator');
    if (operator === 'In') tests.push((labels) => among(labels[key]));
    if (operator === 'NotIn') tests.push((labels) => !among(labels[key]));
    if (operator === 'Exists') tests.push((labels) => labels[key] !== undefined);
    if (operator === 'DoesNotExist') tests.push((labels) => labels[key] === undefined);
  }
  return (labels) => tests.every((test) => test(labels));
}

/** Fields that may be selected by, beside name and namespace, for each kind. */
const SELECTABLE: Readonly<Record<string, readonly string[]>> = {
  '/Pod': [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  '/Secret': ['type'],
  '/Node': ['spec.unschedulable'],
  '/Namespace': ['status.phase'],
  '/Service': ['spec.clusterIP', 'spec.type'],
  '/Event': [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  'apps/ReplicaSet': ['status.replicas'],
  'batch/Job': ['status.successful'],
};

/** How kinds without fields of their own refuse one. */
function unknownField(field: string): string {
  return `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`;
}

function readerOf(field: string, kind: string): (object: KubeObject) => string {
  const path = field.split('.');
  const textOf = (object: KubeObject, ...at: string[]) => String(valueAt(object, ...at) ?? '');
  if (kind !== 'Event' || field !== 'source') return (object) => textOf(object, ...path);
  // The older name of who tells an Event.
  return (object) => textOf(object, 'source', 'component') || textOf(object, 'reportingComponent');
}

/** `metadata.name=a,status.phase!=Running`. @throws ApiError 400 for a field that can't be selected by */
export function fieldSelector(text: string, type: { group: string; kind: string }): Predicate {
  const own = SELECTABLE[`${type.group}/${type.kind}`];
  const allowed = ['metadata.name', 'metadata.namespace', ...(own ?? [])];
  const tests = terms(text).map((term): Predicate => {
    const match = /^([^=!]+)(==|=|!=)(.*)$/.exec(term);
    if (!match) throw badRequest(`invalid field selector: '${text}'; can't understand '${term}'`);
    const [, field = '', operator, wanted] = match;
    if (!allowed.includes(field))
      throw badRequest(own ? `field label not supported: ${field}` : unknownField(field));
    const read = readerOf(field, type.kind);
    return (object) => (read(object) === wanted) === (operator !== '!=');
  });
  return (object) => tests.every((test) => test(object));
}
