import type { Registries } from '../../workers/saga/parts.ts';
import type { Kind } from '../manifests/manifest.ts';
import { addRules, type Rule, type Structural } from './structural.ts';

/**
 * What the structure of a kind can't say, said by CEL where CEL can: whatever is missing here is found by the manifest's
 * own schema afterwards, and told in the condition Accepted.
 */
export function addKindRules(kind: Kind, schema: Structural, { rotators }: Registries): void {
  if (kind !== 'RotationPolicy') return;
  const at = (...path: string[]) => fieldAt(schema, path);
  for (const { kind: credential, provider } of rotators) {
    const chosen = `has(self.credential.${credential})`;
    const rule: Rule = provider
      ? {
          rule: `!${chosen} || has(self.provider)`,
          message: `is required for a ${credential} credential`,
          reason: 'FieldValueRequired',
          fieldPath: '.provider',
        }
      : {
          rule: `!${chosen} || !has(self.provider)`,
          message: `has no use for a ${credential} credential`,
          reason: 'FieldValueForbidden',
          fieldPath: '.provider',
        };
    addRules(at('spec'), [rule]);
  }
  addRules(schema, [
    {
      rule: '!has(self.spec.apart) || !self.spec.apart.from.exists(name, name == self.metadata.name)',
      message: 'spec.apart.from must not name this policy itself',
    },
  ]);
  addRules(at('spec'), [
    {
      rule: `!has(self.settle) || !has(self.settle.grace) || !has(self.deadline) || ${isAtMost('self.settle.grace', '<', 'self.deadline')}`,
      message: 'settle.grace must be shorter than deadline',
    },
  ]);
  addRules(at('spec', 'settle'), [
    {
      rule: `!has(self.grace) || !has(self.timeout) || ${isAtMost('self.grace', '<=', 'self.timeout')}`,
      message: 'grace must not be longer than timeout',
    },
  ]);
  addRules(at('spec', 'schedule'), [
    { rule: '!has(self.cron) || !has(self.every)', message: 'every excludes cron: keep one of the two' },
    {
      rule: 'has(self.cron) || has(self.every) || has(self.maxAge)',
      message: 'needs cron, every or maxAge; leave the whole schedule out to rotate only when asked',
    },
  ]);
  // Two consumers of one name are refused, and server-side apply knows them apart.
  Object.assign(at('spec', 'consumers'), {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  });
}

/** CEL knows no days and weeks: a comparison with them is left to the manifest's own schema. */
function isAtMost(left: string, operator: '<' | '<=', right: string): string {
  const known = (value: string) => `${value}.matches('^([0-9]{1,6}(ms|s|m|h)){1,4}$')`;
  return `!${known(left)} || !${known(right)} || duration(${left}) ${operator} duration(${right})`;
}

function fieldAt(schema: Structural, path: readonly string[]): Structural {
  let found = schema;
  for (const name of path) {
    const inner = found.properties?.[name];
    if (!inner) throw new Error(`the schema has no ${path.join('.')}`);
    found = inner;
  }
  return found;
}
