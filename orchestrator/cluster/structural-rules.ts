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
    return belongingTo(`${field(tag)} != '${value}'`, `${tag} ${value}`, needs, foreign);
  });
}

/**
 * Rules of alternatives each of which requires a field that no other knows, such as `http` or `command`: exactly one of
 * those is written, and what belongs to it. Undefined when an alternative has no such field.
 * @param always fields that all alternatives require
 */
export function marked(branches: readonly Branch[], always: readonly string[]): Rule[] | undefined {
  const markers = branches.flatMap((branch) => {
    const others = branches.filter((each) => each !== branch).flatMap(({ names }) => names);
    return branch.required.find((name) => !others.includes(name)) ?? [];
  });
  if (markers.length < branches.length) return undefined;
  const all = [...new Set(branches.flatMap(({ names }) => names))];
  const belonging = branches.flatMap(({ required, names }, index) => {
    const marker = markers[index] ?? '';
    const needs = required.filter((name) => name !== marker && !always.includes(name));
    const foreign = all.filter((name) => !names.includes(name) && !markers.includes(name));
    return belongingTo(`!has(${field(marker)})`, marker, needs, foreign);
  });
  return [exactlyOne(markers), ...belonging];
}

function belongingTo(
  unless: string,
  what: string,
  needs: readonly string[],
  foreign: readonly string[],
): Rule[] {
  return [
    ...needs.map(
      (name): Rule => ({
        rule: `${unless} || has(${field(name)})`,
        message: `is required for ${what}`,
        reason: 'FieldValueRequired',
        fieldPath: `.${name}`,
      }),
    ),
    ...foreign.map(
      (name): Rule => ({
        rule: `${unless} || !has(${field(name)})`,
        message: `does not belong to ${what}`,
        reason: 'FieldValueForbidden',
        fieldPath: `.${name}`,
      }),
    ),
  ];
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
