// tokenizer_throughput.cc with HuggingFace's library:
//   node tokenizer_throughput.mjs FOLDER_OF_THE_LIBRARY TOKENIZER_JSON TEXTS
import fs from 'fs';
import { createRequire } from 'module';
import readline from 'readline';

const [library, tokenizerJson, textsJson] = process.argv.slice(2);
const { Tokenizer } = createRequire(import.meta.url)(library);
const read = (file) => JSON.parse(fs.readFileSync(file, 'utf-8'));
const tokenizer = new Tokenizer(read(tokenizerJson), {});
const encodeText = (text) => tokenizer.encode(text, { add_special_tokens: false }).ids;
const options = { skip_special_tokens: true, clean_up_tokenization_spaces: false };

const kinds = {};
for (const [kind, texts] of Object.entries(read(textsJson))) {
  kinds[kind] = { texts, ids: texts.map((text) => Array.from(encodeText(text))) };
}

function encode({ texts }) {
  return texts.reduce((tokens, text) => tokens + encodeText(text).length, 0);
}

function decode({ ids }) {
  for (const row of ids) {
    if (tokenizer.decode(row, options) === '') throw new Error('tokens without a text');
  }
  return ids.reduce((tokens, row) => tokens + row.length, 0);
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [what, kind] = line.split(' ');
  const start = process.cpuUsage();
  const tokens = (what === 'encode' ? encode : decode)(kinds[kind]);
  const { user, system } = process.cpuUsage(start);
  console.log((user + system) / 1e6, tokens);
}
