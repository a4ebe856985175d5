import fc from 'fast-check';
import { expect, test } from 'vitest';
import { element, fitsXml, rootOf, textOf } from './xml.ts';

test('whatever fits is read back as it was written, and makes no element of its own', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      fc.pre(fitsXml(text));
      const xml = `<a>${element('username', text)}<description>ours</description></a>`;
      expect(textOf(xml, 'username')).toBe(text);
      expect(textOf(xml, 'description')).toBe('ours');
      expect(xml.match(/</g)).toHaveLength(6);
    }),
  );
});

test.each([
  ['p<a>&"\'</password><username>x', '<v>p&lt;a&gt;&amp;"\'&lt;/password&gt;&lt;username&gt;x</v>'],
  ['two\r\nlines]]>', '<v>two&#13;\nlines]]&gt;</v>'],
  ['&amp; itself', '<v>&amp;amp; itself</v>'],
])('%j is written as %s', (text, xml) => {
  expect(element('v', text)).toBe(xml);
  expect(textOf(xml, 'v')).toBe(text);
});

test.each(['\u0000', 'a\u001bb', '\ufffe', '\ud800'])('%j is in no XML', (text) => {
  expect(fitsXml(text)).toBe(false);
});

test('what Jenkins shows is read: class, plain fields, and no secret', () => {
  const xml = `<?xml version='1.1' encoding='UTF-8'?>
<com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl plugin="credentials@2.1.14">
  <scope>GLOBAL</scope>
  <description></description>
  <username>w&#xe9;coyote &quot;W&quot; &unknown; &#99999999;</username>
  <password>
    <secret-redacted/>
  </password>
  <usernameSecret/>
</com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl>`;
  expect(rootOf(xml)).toBe('com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl');
  expect(textOf(xml, 'username')).toBe('wécoyote "W" &unknown; &#99999999;');
  expect([textOf(xml, 'description'), textOf(xml, 'usernameSecret')]).toEqual(['', '']);
  expect([textOf(xml, 'password'), textOf(xml, 'fileName')]).toEqual([undefined, undefined]);
  expect(rootOf('{"_class": "json"}')).toBeUndefined();
});
