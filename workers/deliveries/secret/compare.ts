import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../../core/secret.ts';
import { namesSetByUs, otherWriterOf, type Writer } from '../../kubernetes/field-ownership.ts';
import type { Difference } from '../delivery.ts';
import type { Desired } from './desired.ts';

type Told = Omit<Difference, 'target'>;

/**
 * How a Secret differs from what it shall be: names of fields, who has set them since, and never a value. What others have
 * set besides ours is theirs; a key that we set once and that is no longer part of the delivery is ours to take away.
 */
export function compare(found: ClusterObject | undefined, desired: Desired): readonly Told[] {
  if (!found) return [{ what: 'it is gone' }];
  const told = (path: readonly string[], what: string): Told => ({ what, ...writerOf(found, path) });
  return [
    ...(found.type === desired.type
      ? []
      : [told(['type'], `its type is ${found.type}, not ${desired.type}`)]),
    ...(!desired.immutable || found.immutable === true
      ? []
      : [told(['immutable'], 'it is not immutable any more')]),
    ...comparedTexts(found, 'labels', 'label', desired.labels),
    ...comparedTexts(found, 'annotations', 'annotation', desired.annotations),
    ...Object.entries(desired.data).flatMap(([key, text]) => {
      const path = ['data', key];
      if (found.data?.[key] === undefined) return [told(path, `key "${key}" is gone`)];
      return sameSecret(found.data[key], text) ? [] : [told(path, `key "${key}" was changed`)];
    }),
    ...namesSetByUs(found, ['data'])
      .filter((key) => !Object.hasOwn(desired.data, key) && found.data?.[key] !== undefined)
      .map((key) => ({ what: `key "${key}" of an earlier delivery is still there` })),
  ];
}

function comparedTexts(
  found: ClusterObject,
  field: 'labels' | 'annotations',
  word: string,
  wanted: Readonly<Record<string, string>>,
): readonly Told[] {
  const now = found.metadata?.[field];
  return Object.entries(wanted).flatMap(([name, value]) => {
    if (now?.[name] === value) return [];
    const what = now?.[name] === undefined ? `${word} ${name} is gone` : `${word} ${name} was changed`;
    return [{ what, ...writerOf(found, ['metadata', field, name]) }];
  });
}

function writerOf(found: ClusterObject, path: readonly string[]): Partial<Writer> {
  return otherWriterOf(found, path) ?? {};
}

function sameSecret(found: unknown, wanted: string): boolean {
  if (typeof found !== 'string') return false;
  const [one, other] = [SecretValue.of(found), SecretValue.of(wanted)];
  const same = one.equals(other);
  one.destroy();
  other.destroy();
  return same;
}
