rtl/bipolar.v
rtl/bipolar_argmax_7.v
rtl/bipolar_matmul_2.v
rtl/bipolar_matmul_6.v
rtl/bipolar_multithreshold_4.v
rtl/bipolar_topk_8.v
rtl/bipolar_x.v
