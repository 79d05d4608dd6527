// A town's own face. Appended to config.js: `--custom-config-js town.js`, or as `custom-config.js` in the folder of `--custom`.
// Every address here is on the town's own servers: nobody else learns of a visit.
config.defaultLanguage = 'de';
// Colours, logo and links: branding.json beside this file, put into the web folder's `static/`.
config.dynamicBrandingUrl = '/static/branding.json';
config.legalUrls = {
    helpCentre: 'https://www.town.example/plausch',
    privacy: 'https://www.town.example/datenschutz',
    terms: 'https://www.town.example/impressum'
};
