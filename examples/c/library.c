/* Which library is loaded, what it runs on, how it reports an error, what its parameters are. */
#include "check.h"

#include <string.h>

static void print_build_info(void) {
    size_t needed = 0;
    check(fpo_build_info(NULL, 0, &needed)); /* first call: how many bytes? */
    char *text = malloc(needed);
    expect("memory", text != NULL);
    check(fpo_build_info(text, needed, NULL));
    expect("the size counts the final NUL", strlen(text) + 1 == needed);
    fputs(text, stdout);
    free(text);
}

static void print_parameters(int32_t config) {
    fpo_parameter parameter;
    int32_t index = 0;
    while (fpo_parameter_info(config, index, &parameter) == FPO_OK) {
        printf("  %-26s %-10g %s\n", parameter.name, parameter.default_value, parameter.doc);
        expect("the default lies within its bounds",
               parameter.minimum <= parameter.default_value &&
                   parameter.default_value <= parameter.maximum);
        index++;
    }
    expect("a config has parameters", index > 0);
}

int main(void) {
    /* A program refuses a library of another ABI; it accepts a newer minor version. */
    expect("the ABI is the header's", fpo_abi_version() >> 16 == FPO_ABI_MAJOR &&
                                          (fpo_abi_version() & 0xffff) >= FPO_ABI_MINOR);
    printf("libfpo %s\n", fpo_version());
    expect("the version is the header's", strcmp(fpo_version(), FPO_VERSION) == 0);
    print_build_info();

    check(fpo_set_num_threads(2));
    expect("two threads", fpo_get_num_threads() == 2);
    check(fpo_set_num_threads(0)); /* as many as the process may run on */
    expect("at least one thread", fpo_get_num_threads() >= 1);

    /* An error is a status and a sentence; outputs stay untouched. */
    double untouched = 42;
    int32_t status = fpo_exp_f64(1, NULL, &untouched);
    expect("NULL is reported", status == FPO_ERR_NULL);
    expect("the output is untouched", untouched == 42);
    printf("%s: %s\n", fpo_status_name(status), fpo_last_error());

    puts("parameters of the neural environment:");
    print_parameters(FPO_CONFIG_ENVIRONMENT_NEURAL);
    return 0;
}
