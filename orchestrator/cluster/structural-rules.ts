import type { Rule } from './structural.ts';

/** One alternative of a union of objects. */
export interface Branch {
  readonly required: readonly string[];
  readonly names: readonly string[];
  /** Fields with one fixed value, such as `mode: single-user`. */
  readonly fixed: Readonly<Record<string, unknown>>;
}

/** Exactly one of `names` is written. */
export function exactlyOne(names: readonly string[]): Rule {
  const written = names.map((name) => `has(${field(name)})`);
  const rule = names.length === 1 ? written.join('') : `[${written.join(', ')}].filter(x, x).size() == 1`;
  return { rule, message: `needs exactly one of: ${names.join(', ')}` };
}

/**
 * Rules of alternatives that a field tells apart, such as `mode`; undefined when there is no such field.
 * @param always fields that all alternatives require
 */
export function tagged(branches: readonly Branch[], always: readonly string[]): Rule[] | undefined {
  const tag = always.find((name) => branches.every(({ fixed }) => typeof fixed[name] === 'string'));
  if (tag === undefined) return undefined;
  const all = [...new Set(branches.flatMap(({ names }) => names))];
  return branches.flatMap(({ required, names, fixed }) => {
    const value = String(fixed[tag]);
    const needs = required.filter((name) => !always.includes(name));
    const foreign = all.filter((name) => !names.includes(name));
    const unless = `${field(tag)} != '${value}'`;
    return [
      ...needs.map(
        (name): Rule => ({
          rule: `${unless} || has(${field(name)})`,
          message: `is required for ${tag} ${value}`,
          reason: 'FieldValueRequired',
          fieldPath: `.${name}`,
        }),
      ),
      ...foreign.map(
        (name): Rule => ({
          rule: `${unless} || !has(${field(name)})`,
          message: `does not belong to ${tag} ${value}`,
          reason: 'FieldValueForbidden',
          fieldPath: `.${name}`,
        }),
      ),
    ];
  });
}

/** Rules of alternatives with one field each, such as `http` or `command`. @throws Error for any others */
export function byField(branches: readonly Branch[]): Rule[] {
  const single = branches.every(({ names, required }) => names.length === 1 && required.length === 1);
  if (!single) throw new Error('alternatives need a field that tells them apart, or one field each');
  return [exactlyOne(branches.map(({ names }) => names[0] ?? ''))];
}

function field(name: string): string {
  // CEL's own words are escaped in the API server's CEL: https://kubernetes.io/docs/reference/using-api/cel/#escaping
  if (!/^[A-Za-z_]\w*$/.test(name)) throw new Error(`${name} can't be named in a rule`);
  return RESERVED.has(name) ? `self.__${name}__` : `self.${name}`;
}

const RESERVED = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return'.split(
    ' ',
  ),
);
