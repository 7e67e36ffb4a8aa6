// What HuggingFace's Jinja makes of conversations: node render.mjs FOLDER_OF_THE_LIBRARY < CASES > TEXTS
// CASES is {template: TEXT, now: seconds since 1970, variables: [{messages: …}, …]}.
import fs from 'fs';
import { createRequire } from 'module';

const { Template } = createRequire(import.meta.url)(process.argv[2]);
const { template, now, variables } = JSON.parse(fs.readFileSync(0, 'utf-8'));

// The clock that the library's strftime_now looks at.
globalThis.Date = class extends Date {
  constructor() {
    super(now * 1000);
  }
};

const jinja = new Template(template);
console.log(JSON.stringify(variables.map((each) => jinja.render(each))));
