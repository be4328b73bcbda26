// SPDX-License-Identifier: Apache-2.0

package live

// bearer is how most services take a token (RFC 6750).
const bearer = "Bearer "

// probes are the services that are known. The first that fits is asked. A token
// of a service that runs at many places is asked about at the public one only,
// and where that is not for sure its own, its refusal counts for nothing.
var probes = []probe{
	{
		rules: []string{"github-token"}, prefix: []string{"ghs_"}, // of an installation, which is no user
		host: "api.github.com", path: "/installation/repositories?per_page=1", lead: bearer, yes: "total_count",
		header: github, doc: "https://docs.github.com/en/rest/apps/installations",
	},
	{
		rules: []string{"github-token", "github-fine-grained-pat"}, prefix: []string{"ghp_", "gho_", "ghu_", "github_pat_"},
		host: "api.github.com", path: "/user", lead: bearer, yes: "login",
		header: github, doc: "https://docs.github.com/en/rest/users/users#get-the-authenticated-user",
	},
	{
		rules: []string{"gitlab-pat", "gitlab-routable-token"}, prefix: []string{"glpat-"},
		host: "gitlab.com", path: "/api/v4/personal_access_tokens/self", name: "PRIVATE-TOKEN", yes: "active", is: "true",
		no: none, maybe: anywhere, scope: "insufficient_scope", doc: "https://docs.gitlab.com/api/personal_access_tokens/",
	},
	{
		rules: []string{"slack-bot-token", "slack-user-token", "slack-legacy-token", "slack-legacy-bot-token"}, prefix: []string{"xox"},
		host: "slack.com", path: "/api/auth.test", post: "{}", lead: bearer, yes: "team_id",
		words: []string{"invalid_auth", "token_revoked", "token_expired", "account_inactive"}, doc: "https://docs.slack.dev/reference/methods/auth.test",
	},
	{
		rules: []string{"stripe-key"},
		host:  "api.stripe.com", path: "/v1/balance", lead: bearer, yes: "object", is: `"balance"`,
		doc: "https://docs.stripe.com/api/balance/balance_retrieve",
	},
	{
		rules: []string{"npm-token"},
		host:  "registry.npmjs.org", path: "/-/whoami", lead: bearer, yes: "username",
		doc: "https://docs.npmjs.com/cli/commands/npm-whoami",
	},
	{
		rules: []string{"sendgrid-api-token"},
		host:  "api.sendgrid.com", path: "/v3/scopes", lead: bearer, yes: "scopes",
		doc: "https://www.twilio.com/docs/sendgrid/api-reference/api-key-permissions",
	},
	{
		rules: []string{"digitalocean-pat", "digitalocean-access-token"},
		host:  "api.digitalocean.com", path: "/v2/account", lead: bearer, yes: "account",
		doc: "https://docs.digitalocean.com/reference/api/digitalocean/#tag/Account",
	},
	{
		rules: []string{"openai-api-key"}, prefix: []string{"sk-admin-"},
		host: "api.openai.com", path: "/v1/organization/admin_api_keys?limit=1", lead: bearer, yes: "data",
		doc: "https://platform.openai.com/docs/api-reference/admin-api-keys",
	},
	{
		rules: []string{"openai-api-key"},
		host:  "api.openai.com", path: "/v1/models", lead: bearer, yes: "data", scope: "Missing scopes",
		doc: "https://platform.openai.com/docs/api-reference/models/list",
	},
	{
		rules: []string{"anthropic-admin-api-key"},
		host:  "api.anthropic.com", path: "/v1/organizations/me", name: "X-Api-Key", yes: "id", header: anthropic,
		doc: "https://docs.anthropic.com/en/api/admin-api/organization/get-me",
	},
	{
		rules: []string{"anthropic-api-key"},
		host:  "api.anthropic.com", path: "/v1/models?limit=1", name: "X-Api-Key", yes: "data", header: anthropic,
		doc: "https://docs.anthropic.com/en/api/models-list",
	},
	{
		rules: []string{"huggingface-access-token"},
		host:  "huggingface.co", path: "/api/whoami-v2", lead: bearer, yes: "name",
		doc: "https://huggingface.co/docs/hub/api",
	},
	{
		rules: []string{"groq-api-key"},
		host:  "api.groq.com", path: "/openai/v1/models", lead: bearer, yes: "data",
		doc: "https://console.groq.com/docs/api-reference#models",
	},
	{
		rules: []string{"replicate-api-token"},
		host:  "api.replicate.com", path: "/v1/account", lead: bearer, yes: "username",
		doc: "https://replicate.com/docs/reference/http#account.get",
	},
	{
		rules: []string{"openrouter-api-key"},
		host:  "openrouter.ai", path: "/api/v1/key", lead: bearer, yes: "data",
		doc: "https://openrouter.ai/docs/api-reference/limits",
	},
	{
		rules: []string{"deepseek-api-key"},
		host:  "api.deepseek.com", path: "/user/balance", lead: bearer, yes: "balance_infos",
		doc: "https://api-docs.deepseek.com/api/get-user-balance",
	},
	{
		rules: []string{"mistral-api-key"},
		host:  "api.mistral.ai", path: "/v1/models", lead: bearer, yes: "data",
		doc: "https://docs.mistral.ai/api/",
	},
	{
		rules: []string{"elevenlabs-api-key"},
		host:  "api.elevenlabs.io", path: "/v1/user", name: "xi-api-key", yes: "subscription", scope: "missing_permissions",
		doc: "https://elevenlabs.io/docs/api-reference/user/get",
	},
	{
		rules: []string{"pinecone-api-key"},
		host:  "api.pinecone.io", path: "/indexes", name: "Api-Key", yes: "indexes", header: [][2]string{{"X-Pinecone-API-Version", "2025-01"}},
		doc: "https://docs.pinecone.io/reference/api/2025-01/control-plane/list_indexes",
	},
	{
		rules: []string{"telegram-bot-token", "telegram-bot-api-token"},
		host:  "api.telegram.org", path: "/bot{}/getMe", lead: "-", yes: "result.id", no: []int{401, 404},
		doc: "https://core.telegram.org/bots/api#getme",
	},
	{
		rules: []string{"discord-bot-token"},
		host:  "discord.com", path: "/api/v10/users/@me", lead: "Bot ", yes: "id",
		doc: "https://discord.com/developers/docs/resources/user#get-current-user",
	},
	{
		rules: []string{"webex-token"},
		host:  "webexapis.com", path: "/v1/people/me", lead: bearer, yes: "id",
		doc: "https://developer.webex.com/docs/api/v1/people/get-my-own-details",
	},
	{
		rules: []string{"heroku-api-key", "heroku-api-key-v2"},
		host:  "api.heroku.com", path: "/account", lead: bearer, yes: "id", header: [][2]string{{"Accept", "application/vnd.heroku+json; version=3"}},
		doc: "https://devcenter.heroku.com/articles/platform-api-reference#account",
	},
	{
		rules: []string{"cloudflare-api-key"}, // a token that an account owns is verified by another address
		host:  "api.cloudflare.com", path: "/client/v4/user/tokens/verify", lead: bearer, yes: "result.status", is: `"active"`,
		no: none, maybe: "tokens of accounts are not known there", doc: "https://developers.cloudflare.com/api/resources/user/subresources/tokens/methods/verify/",
	},
	{
		rules: []string{"fastly-api-token"},
		host:  "api.fastly.com", path: "/tokens/self", name: "Fastly-Key", yes: "id",
		doc: "https://www.fastly.com/documentation/reference/api/auth-tokens/user/",
	},
	{
		rules: []string{"linode-token"},
		host:  "api.linode.com", path: "/v4/profile", lead: bearer, yes: "username", scope: "not authorized to use this endpoint",
		doc: "https://techdocs.akamai.com/linode-api/reference/get-profile",
	},
	{
		rules: []string{"vultr-api-key"},
		host:  "api.vultr.com", path: "/v2/account", lead: bearer, yes: "account", scope: "Unauthorized IP",
		doc: "https://www.vultr.com/api/#tag/account",
	},
	{
		rules: []string{"hetzner-token"},
		host:  "api.hetzner.cloud", path: "/v1/locations", lead: bearer, yes: "locations",
		doc: "https://docs.hetzner.cloud/reference/cloud#locations-list-locations",
	},
	{
		rules: []string{"netlify-token", "netlify-access-token"},
		host:  "api.netlify.com", path: "/api/v1/user", lead: bearer, yes: "id",
		doc: "https://open-api.netlify.com/#tag/user",
	},
	{
		rules: []string{"vercel-token"},
		host:  "api.vercel.com", path: "/v2/user", lead: bearer, yes: "user",
		doc: "https://vercel.com/docs/rest-api/reference/endpoints/user/get-the-user",
	},
	{
		rules: []string{"render-api-key"},
		host:  "api.render.com", path: "/v1/owners?limit=1", lead: bearer, yes: "[]",
		doc: "https://api-docs.render.com/reference/list-owners",
	},
	{
		rules: []string{"pulumi-api-token"},
		host:  "api.pulumi.com", path: "/api/user", lead: "token ", yes: "githubLogin", no: none, maybe: anywhere,
		doc: "https://www.pulumi.com/docs/reference/cloud-rest-api/",
	},
	{
		rules: []string{"hashicorp-tf-api-token"},
		host:  "app.terraform.io", path: "/api/v2/account/details", lead: bearer, yes: "data", no: none, maybe: anywhere,
		doc: "https://developer.hashicorp.com/terraform/cloud-docs/api-docs/account",
	},
	{
		rules: []string{"doppler-token", "doppler-api-token"},
		host:  "api.doppler.com", path: "/v3/me", lead: bearer, yes: "workplace",
		doc: "https://docs.doppler.com/reference/auth-me",
	},
	{
		rules: []string{"circleci-token"}, prefix: []string{"CCIPAT_"},
		host: "circleci.com", path: "/api/v2/me", name: "Circle-Token", yes: "id",
		doc: "https://circleci.com/docs/api/v2/index.html#tag/User",
	},
	{
		rules: []string{"buildkite-token"},
		host:  "api.buildkite.com", path: "/v2/access-token", lead: bearer, yes: "uuid",
		doc: "https://buildkite.com/docs/apis/rest-api/access-token",
	},
	{
		rules: []string{"snyk-token", "snyk-api-token"},
		host:  "api.snyk.io", path: "/rest/self?version=2024-10-15", lead: "token ", yes: "data", no: none, maybe: anywhere,
		doc: "https://docs.snyk.io/snyk-api/reference/users",
	},
	{
		rules: []string{"sentry-user-token"},
		host:  "sentry.io", path: "/api/0/organizations/", lead: bearer, yes: "[]", no: none, maybe: anywhere,
		doc: "https://docs.sentry.io/api/organizations/",
	},
	{
		rules: []string{"datadog-api-key"},
		host:  "api.datadoghq.com", path: "/api/v1/validate", name: "DD-API-KEY", yes: "valid", is: "true", no: none, maybe: anywhere,
		doc: "https://docs.datadoghq.com/api/latest/authentication/#validate-api-key",
	},
	{
		rules: []string{"new-relic-user-key", "new-relic-user-api-key"},
		host:  "api.newrelic.com", path: "/graphql", name: "API-Key", post: `{"query":"{ actor { user { id } } }"}`, yes: "data.actor.user.id", no: none, maybe: anywhere,
		doc: "https://docs.newrelic.com/docs/apis/nerdgraph/get-started/introduction-new-relic-nerdgraph/",
	},
	{
		rules: []string{"pagerduty-key"}, prefix: []string{"u+", "y+"},
		host: "api.pagerduty.com", path: "/abilities", lead: "Token token=", yes: "abilities", no: none, maybe: anywhere,
		header: [][2]string{{"Accept", "application/vnd.pagerduty+json;version=2"}}, doc: "https://developer.pagerduty.com/api-reference/",
	},
	{
		rules: []string{"mailgun-key", "mailgun-private-api-token"},
		host:  "api.mailgun.net", path: "/v4/domains?limit=1", basic: true, lead: "api", yes: "items", no: none, maybe: anywhere,
		doc: "https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/domains",
	},
	{
		rules: []string{"sendinblue-api-token"},
		host:  "api.brevo.com", path: "/v3/account", name: "api-key", yes: "email", scope: "unrecognised IP",
		doc: "https://developers.brevo.com/reference/getaccount",
	},
	{
		rules: []string{"resend-api-key"}, // a key that may only send is told so
		host:  "api.resend.com", path: "/domains", lead: bearer, yes: "data", scope: "restricted_api_key",
		doc: "https://resend.com/docs/api-reference/errors",
	},
	{
		rules: []string{"linear-api-key"},
		host:  "api.linear.app", path: "/graphql", post: linear, yes: "data.viewer.id",
		doc: "https://linear.app/developers/graphql",
	},
	{
		rules: []string{"linear-oauth-token"},
		host:  "api.linear.app", path: "/graphql", post: linear, lead: bearer, yes: "data.viewer.id",
		doc: "https://linear.app/developers/graphql",
	},
	{
		rules: []string{"notion-api-token", "notion-secret"},
		host:  "api.notion.com", path: "/v1/users/me", lead: bearer, yes: "id", header: [][2]string{{"Notion-Version", "2022-06-28"}},
		doc: "https://developers.notion.com/reference/get-self",
	},
	{
		rules: []string{"postman-api-token"},
		host:  "api.getpostman.com", path: "/me", name: "X-Api-Key", yes: "user",
		doc: "https://learning.postman.com/docs/developer/postman-api/intro-api/",
	},
	{
		rules: []string{"airtable-personnal-access-token"},
		host:  "api.airtable.com", path: "/v0/meta/whoami", lead: bearer, yes: "id",
		doc: "https://airtable.com/developers/web/api/get-user-id-scopes",
	},
	{
		rules: []string{"asana-token"},
		host:  "app.asana.com", path: "/api/1.0/users/me", lead: bearer, yes: "data.gid",
		doc: "https://developers.asana.com/reference/getuser",
	},
	{
		rules: []string{"figma-token"},
		host:  "api.figma.com", path: "/v1/me", name: "X-Figma-Token", yes: "id",
		doc: "https://www.figma.com/developers/api#get-me-endpoint",
	},
	{
		rules: []string{"clickup-token"},
		host:  "api.clickup.com", path: "/api/v2/user", yes: "user",
		doc: "https://developer.clickup.com/reference/getauthorizeduser",
	},
	{
		rules: []string{"hubspot-token"},
		host:  "api.hubapi.com", path: "/account-info/v3/details", lead: bearer, yes: "portalId",
		doc: "https://developers.hubspot.com/docs/reference/api/settings/account-information-api",
	},
}

var (
	none      = []int{}
	github    = [][2]string{{"Accept", "application/vnd.github+json"}, {"X-GitHub-Api-Version", "2022-11-28"}}
	anthropic = [][2]string{{"anthropic-version", "2023-06-01"}}
)

const linear = `{"query":"{ viewer { id } }"}`
