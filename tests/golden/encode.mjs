// The ids that HuggingFace's tokenizer gives:
//   node encode.mjs FOLDER_OF_THE_LIBRARY TOKENIZER_JSON < TEXTS > IDS
import fs from 'fs';
import { createRequire } from 'module';

const [library, file] = process.argv.slice(2);
const { Tokenizer } = createRequire(import.meta.url)(library);
const read = (source) => JSON.parse(fs.readFileSync(source, 'utf-8'));
const tokenizer = new Tokenizer(read(file), {});
const ids = read(0).map((text) => Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids));
console.log(JSON.stringify(ids));
