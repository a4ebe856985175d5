import type { V1LabelSelector } from '@kubernetes/client-node';

type Labels = Readonly<Record<string, string>>;

/** Whether labels match a selector. No selector matches nothing, an empty one everything. */
export function matches(selector: V1LabelSelector | undefined, labels: Labels = {}): boolean {
  if (!selector) return false;
  const equal = matchesAll(selector.matchLabels ?? {}, labels);
  return equal && (selector.matchExpressions ?? []).every((rule) => matchesRule(rule, labels));
}

/** Whether labels have all these pairs. */
export function matchesAll(wanted: Labels, labels: Labels = {}): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

export interface SelectorRule {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** One requirement of a label selector or of a node selector. */
export function matchesRule({ key, operator, values = [] }: SelectorRule, labels: Labels): boolean {
  const value = labels[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}
