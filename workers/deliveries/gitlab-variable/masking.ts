import type { GitlabVariable } from './spec.ts';

/** GitLab's limit for the value of a variable, in characters. */
const LONGEST = 10_000;
const SHORTEST_MASKED = 8;
/** What GitLab masks in a variable that is expanded (its model `Ci::Maskable`): the Base64 alphabets and `@:.~`. */
const MASKABLE = /^[a-zA-Z0-9_+=/@:.~-]*$/;

/**
 * Why GitLab would refuse a value, or do something else with it than it is meant for; undefined when it fits. Tells kinds of
 * characters, never the value.
 */
export function unfit(
  { masked, raw }: Pick<GitlabVariable, 'masked' | 'raw'>,
  value: string,
): string | undefined {
  if (value.length > LONGEST) return `is longer than the ${LONGEST} characters that GitLab takes`;
  if (!raw && value.includes('$')) return 'holds a "$", which GitLab would expand: write `raw: true`';
  if (!masked) return undefined;
  if (value.length < SHORTEST_MASKED)
    return `is shorter than ${SHORTEST_MASKED} characters, which GitLab doesn't mask: write \`masked: false\` if it is no secret`;
  if (/\s/.test(value))
    return "holds a blank or line break, which GitLab doesn't mask: encode it with the filter `base64` or `url`";
  if (!raw && !MASKABLE.test(value))
    return 'holds a character that GitLab masks in raw variables only: write `raw: true`, or choose other characters for the password';
  return undefined;
}
