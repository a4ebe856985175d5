import { isAbsolute, normalize } from 'node:path';
import { z } from 'zod';
import { parseTemplate } from '../template.ts';

/** `deliver[].file` of a policy. */
export const fileSpec = z
  .strictObject({
    path: z.string().refine((path) => isAbsolute(path) && normalize(path) === path && !path.endsWith('/'), {
      error: 'must be the absolute path of a file, without ".." in it',
    }),
    /**
     * `json`: all fields and `versionId` as one object. `env`: the same as NAME=value lines. `raw`: the bytes of
     * `field`. `template`: `template`, filled.
     */
    format: z.enum(['json', 'env', 'raw', 'template']).default('json'),
    field: z.string().min(1).optional(),
    template: z.string().min(1).optional(),
    /** Octal, as for chmod. */
    mode: z
      .string()
      // Whoever is neither owner nor group has no business with a secret; `group` names who has.
      .regex(/^0?[0-7]{2}0$/, { error: 'must be octal and give others no access ("0640"): name a `group`' })
      .default('0600'),
    /** Name or number; the worker's own when absent. */
    owner: z.union([z.string().min(1), z.int().min(0)]).optional(),
    group: z.union([z.string().min(1), z.int().min(0)]).optional(),
  })
  .superRefine((spec, context) => {
    const complain = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    for (const [key, format] of [
      ['field', 'raw'],
      ['template', 'template'],
    ] as const) {
      if (spec.format === format && spec[key] === undefined)
        complain(key, `is required for format "${format}"`);
      if (spec.format !== format && spec[key] !== undefined) complain(key, `belongs to format "${format}"`);
    }
    if (spec.template === undefined) return;
    const parts = parseTemplate(spec.template);
    if ('problem' in parts) complain('template', parts.problem);
  });

export type FileSpec = z.infer<typeof fileSpec>;
