// matvec `matmul_6` of bipolar
module bipolar_matmul_6 (
  input  wire clk,
  input  wire [16:0] from_multithreshold_4,
  output wire [23:0] result);

  wire multithreshold_4_y0_r1 = from_multithreshold_4[0];
  wire [1:0] multithreshold_4_y1 = from_multithreshold_4[2:1];
  wire [1:0] multithreshold_4_y2 = from_multithreshold_4[4:3];
  wire multithreshold_4_y3 = from_multithreshold_4[5];
  wire [1:0] multithreshold_4_y4 = from_multithreshold_4[7:6];
  wire [1:0] multithreshold_4_y5 = from_multithreshold_4[9:8];
  wire [1:0] multithreshold_4_y6 = from_multithreshold_4[11:10];
  wire [1:0] multithreshold_4_y7 = from_multithreshold_4[13:12];
  wire [1:0] multithreshold_4_y8 = from_multithreshold_4[15:14];
  wire multithreshold_4_y9 = from_multithreshold_4[16];
  wire [2:0] t10 = {1'd0, multithreshold_4_y6} - {2'd0, multithreshold_4_y0_r1};
  wire [3:0] t11_c = {2'd0, multithreshold_4_y7} + {t10[2], t10};
  wire [3:0] t11 = {t11_c[3:1], multithreshold_4_y7[0] ^ t10[0]};
  wire [3:0] t12_c = t11 - {2'd0, multithreshold_4_y8};
  wire [3:0] t12 = {t12_c[3:1], t11[0] ^ multithreshold_4_y8[0]};
  wire [2:0] t13 = {1'd0, multithreshold_4_y2} - {1'd0, multithreshold_4_y1};
  wire [1:0] t14 = {1'd0, multithreshold_4_y3} + multithreshold_4_y5;
  wire [2:0] t15_c = t13 - {2'd0, multithreshold_4_y9};
  wire [2:0] t15 = {t15_c[2:1], t13[0] ^ multithreshold_4_y9};
  wire t17_c = 1'd0 + 1'd1;
  wire [1:0] t17 = {t17_c, multithreshold_4_y0_r1};
  wire [2:0] t18_c = {t17[1], t17} - {1'd0, multithreshold_4_y5};
  wire [2:0] t18 = {t18_c[2:1], t17[0] ^ multithreshold_4_y5[0]};
  wire [2:0] t19 = {1'd0, multithreshold_4_y7} + {1'd0, multithreshold_4_y8};
  wire [3:0] t20_c = {t15[2], t15} + {t18[2], t18};
  wire [3:0] t20 = {t20_c[3:1], t15[0] ^ t18[0]};
  wire [3:0] t21_c = {1'd0, t19} + t20;
  wire [3:0] t21 = {t21_c[3:1], t19[0] ^ t20[0]};
  reg [3:0] t21_r1;
  wire [2:0] t23 = 3'd4 - {2'd0, multithreshold_4_y9};
  wire [2:0] t24_c = t23 - {1'd0, t14};
  wire [2:0] t24 = {t24_c[2:1], t23[0] ^ t14[0]};
  wire [4:0] t25_c = {t12[3], t12} + {2'd0, t24};
  wire [4:0] t25 = {t25_c[4:1], t12[0] ^ t24[0]};
  reg [4:0] t25_r1;
  wire [1:0] t26_c = t10[2:1] + 2'd1;
  wire [2:0] t26 = {t26_c, t10[0]};
  wire [2:0] t27_c = {1'd0, t14} - {1'd0, multithreshold_4_y4};
  wire [2:0] t27 = {t27_c[2:1], t14[0] ^ multithreshold_4_y4[0]};
  wire [3:0] t28_c = {t15[2], t15} + {1'd0, t26};
  wire [3:0] t28 = {t28_c[3:1], t15[0] ^ t26[0]};
  wire [4:0] t29_c = {{2{t27[2]}}, t27} + {t28[3], t28};
  wire [4:0] t29 = {t29_c[4:1], t27[0] ^ t28[0]};
  reg [4:0] t29_r1;
  wire [1:0] t30 = multithreshold_4_y1 + {1'd0, multithreshold_4_y9};
  wire t31_c = 1'd0 + 1'd1;
  wire [2:0] t31 = {t31_c, multithreshold_4_y2};
  wire [3:0] t32_c = {t31[2], t31} - {2'd0, multithreshold_4_y5};
  wire [3:0] t32 = {t32_c[3:1], t31[0] ^ multithreshold_4_y5[0]};
  wire [3:0] t33_c = {2'd0, multithreshold_4_y4} + t32;
  wire [3:0] t33 = {t33_c[3:1], multithreshold_4_y4[0] ^ t32[0]};
  wire [3:0] t34_c = {2'd0, t30} + t33;
  wire [3:0] t34 = {t34_c[3:1], t30[0] ^ t33[0]};
  wire [4:0] t35_c = {t12[3], t12} + {t34[3], t34};
  wire [4:0] t35 = {t35_c[4:1], t12[0] ^ t34[0]};
  reg [4:0] t35_r1;
  wire [2:0] t36 = t13 + 3'd7;
  wire [3:0] t37_c = {2'd0, t14} + {t36[2], t36};
  wire [3:0] t37 = {t37_c[3:1], t14[0] ^ t36[0]};
  wire [4:0] t38_c = {t12[3], t12} + {t37[3], t37};
  wire [4:0] t38 = {t38_c[4:1], t12[0] ^ t37[0]};
  reg [4:0] t38_r1;
  assign result = {t38_r1, t35_r1, t29_r1, t25_r1, t21_r1};

  always @(posedge clk) begin
    t21_r1 <= t21;
    t25_r1 <= t25;
    t29_r1 <= t29;
    t35_r1 <= t35;
    t38_r1 <= t38;
  end

endmodule
