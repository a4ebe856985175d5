import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import { labelValue } from '../../../core/kubernetes/names.ts';
import { fieldsIn, fillTemplate } from '../template.ts';
import type { SecretSpec } from './spec.ts';

type Texts = Readonly<Record<string, string>>;

/**
 * Labels and annotations with public fields of the credential filled in. Everybody who may list Secrets' metadata reads them,
 * and so do logs: nothing secret gets there.
 * @param credential without one those that name a field are left out
 * @throws RotorError `manifest.invalid`
 */
export function notesOf(
  { labels, annotations }: Pick<SecretSpec, 'labels' | 'annotations'>,
  credential: Credential | undefined,
): { readonly labels: Texts; readonly annotations: Texts } {
  return {
    labels: filled('label', labels, credential),
    annotations: filled('annotation', annotations, credential),
  };
}

function filled(word: 'label' | 'annotation', notes: Texts, credential: Credential | undefined): Texts {
  const values = new Map(Object.entries({ ...credential?.fields, versionId: credential?.versionId ?? '' }));
  const entries = Object.entries(notes).flatMap(([name, template]) => {
    const fields = fieldsIn(template);
    if (fields.length === 0) return [[name, template] as const];
    if (!credential) return [];
    const secret = fields.find((field) => Object.hasOwn(credential.secrets, field));
    if (secret !== undefined)
      throw new RotorError('manifest.invalid', {
        what: `${word} ${name} names the field "${secret}", which is secret; only \`data\` may hold it`,
      });
    const text = fillTemplate(template, values);
    if (word === 'label' && !labelValue.safeParse(text).success)
      throw new RotorError('manifest.invalid', {
        what: `label ${name} can't hold what its template gives: at most 63 letters, digits and "-_.", beginning and ending with a letter or digit`,
        hint: 'Make it an annotation, which holds any text.',
      });
    return [[name, text] as const];
  });
  return Object.fromEntries(entries);
}
