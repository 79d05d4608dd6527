// Rooms for music lessons: whose name begins with `musik` sounds like an instrument and not like a telephone.
// Nothing takes echoes away there, so everybody needs headphones.
(function () {
    // Apps read this file without a page.
    var path = typeof location === 'undefined' ? '' : decodeURIComponent(location.pathname);
    if (!/^musik/i.test(path.split('/').pop())) {
        return;
    }
    config.disableAP = true;
    config.disableAGC = true;
    config.enableNoisyMicDetection = false;
    config.audioQuality = { stereo: true, opusMaxAverageBitrate: 128000 };
    // A gap in a tone is heard; with focus.opus_red the next packet fills it.
    config.enableOpusRed = true;
})();
