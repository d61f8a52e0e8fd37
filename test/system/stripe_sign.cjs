// Signs webhooks with Stripe's own library, and says whether that library takes a header for a body.
// Standard input: {"modules": folder, "cases": [{"body", "secret", "at", "header"?}]}; standard output: a list
// of {"header", "taken"}, where `taken` is the library's verdict under the secret "whsec_reliSandbox".
const {createRequire} = require('module');
const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const Stripe = createRequire(input.modules + '/')('stripe');
const stripe = new Stripe('sk_test_reliSandbox');
const out = input.cases.map((c) => {
  const header = c.header !== undefined ? c.header : stripe.webhooks.generateTestHeaderString(
    {payload: c.body, secret: c.secret, timestamp: c.at});
  let taken = true;
  try {
    stripe.webhooks.constructEvent(c.sent !== undefined ? c.sent : c.body, header, 'whsec_reliSandbox');
  } catch (e) {
    taken = false;
  }
  return {header, taken};
});
process.stdout.write(JSON.stringify(out));
