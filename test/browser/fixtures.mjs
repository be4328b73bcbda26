// SPDX-License-Identifier: Apache-2.0

// Makes reports from the one of report/testdata that no person would write:
//   hostile.json  every free text tries to leave its place in the page and run
//   many.json     5,000 open findings
// Usage: node fixtures.mjs SOURCE.json DIRECTORY

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [source, directory] = process.argv.slice(2);
const read = () => JSON.parse(readFileSync(source, 'utf8'));
const write = (name, report) => writeFileSync(join(directory, name), JSON.stringify(report));

// Each would set window.ran if the page took it for more than text.
const attacks = [
  '"><script>window.ran=1</script>',
  "'><img src=x onerror=window.ran=1>",
  '</td></tr></table><svg onload=window.ran=1>',
  '</style><script>window.ran=1</script><style>',
  '</script><script>window.ran=1</script>',
  '--><iframe srcdoc="<script>parent.ran=1</script>">',
  '" onmouseover="window.ran=1" autofocus onfocus="window.ran=1" x="',
  'javascript:window.ran=1',
  '{{.}}${window.ran=1}',
  '<a href="javascript:window.ran=1">x</a>',
];

// These keys keep their value: with another the report is no report, or the text
// never reaches the page.
const structure = new Set(['schema', 'class', 'severity', 'state', 'verdict', 'effect', 'wanted', 'now', 'created', 'published', 'modified', 'due', 'kind', 'id', 'rule', 'subject', 'purl', 'layer', 'diffId', 'deleted', 'started', 'at', 'until', 'time']);
const fixed = /^(sha256:|\d{4}-\d\d-\d\d|(critical|high|medium|low|negligible|unknown)$)/;

let n = 0;
const poison = (value, key) => {
  if (Array.isArray(value)) return value.map((v) => poison(v, key));
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, poison(v, k)]));
  if (typeof value !== 'string' || value === '' || structure.has(key) || fixed.test(value)) return value;
  return attacks[n++ % attacks.length] + ' ' + value.slice(0, 40);
};
const hostile = read();
for (const key of ['tool', 'artifact', 'inventory', 'findings', 'advisories', 'rules', 'database', 'decision', 'actions']) hostile[key] = poison(hostile[key], key);
for (const f of hostile.findings.filter((f) => f.class === 'license')) f.rule = attacks[0]; // a rule without an entry is shown as it is
write('hostile.json', hostile);

const many = read(), open = many.findings.filter((f) => !f.status.state);
many.findings = Array.from({ length: 5000 }, (_, i) => ({ ...open[i % open.length], id: i.toString(16).padStart(16, '0') }));
many.actions = [];
write('many.json', many);
