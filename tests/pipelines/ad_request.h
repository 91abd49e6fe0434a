/* ad_request.h  An advertisement of tiny networks, a second's work. */
#ifndef TESTS_PIPELINES_AD_REQUEST_H
#define TESTS_PIPELINES_AD_REQUEST_H

#include "pipelines/request.h"

#include "base/size.h"
#include "models/birefnet_file.h"

static inline SnugEngine *ad_engine(int threads, size_t ram_bytes)
{
    return request_engine((SnugEngineOptions){ .ram_bytes = ram_bytes, .threads = threads });
}

static const char *const AD_REQUEST_OPTIONS[][2] = { { "bg-prompt", "a beach" },
                                                     { "text-content", "SALE" },
                                                     { "text-size", "30" },
                                                     { "size", "192x192" },
                                                     { "cutout-size", "64" },
                                                     { "bg-steps", "2" },
                                                     { "product-steps", "3" },
                                                     { "text-steps", "2" },
                                                     { "composition-steps", "4" },
                                                     { "composition-prompt", "x" },
                                                     { "seed", "42" } };

/* Written once: a file that is written anew is another one. */
static inline const char *ad_birefnet(void)
{
    static const char *folder;
    if (!folder) folder = birefnet_file_write("", 0);
    return folder;
}

/** The advertisement of tiny networks, without outputs and without a product. */
static inline SnugJob *ad_job_bare(SnugEngine *engine)
{
    SnugError err = { { 0 } };
    SnugJob *job = NULL;
    REQUIRE_OK(snug_job_create(&job, engine, "ad", &err), &err);
    request_option(job, "flux", test_path("golden/flux_pipelines/dev"));
    request_option(job, "sdxl", test_path("golden/sdxl_pipelines/control"));
    request_option(job, "controlnet", test_path("golden/sdxl_pipelines/control/controlnet"));
    request_option(job, "birefnet", ad_birefnet());
    request_option(job, "font", test_path("golden/fonts/latin.ttf"));
    for (size_t i = 0; i < COUNT(AD_REQUEST_OPTIONS); i++)
        request_option(job, AD_REQUEST_OPTIONS[i][0], AD_REQUEST_OPTIONS[i][1]);
    return job;
}

/** The same with a product. */
static inline SnugJob *ad_job(SnugEngine *engine)
{
    SnugJob *job = ad_job_bare(engine);
    request_option(job, "input-image", test_path("golden/flux_pipelines/dev/picture.png"));
    return job;
}

#endif
