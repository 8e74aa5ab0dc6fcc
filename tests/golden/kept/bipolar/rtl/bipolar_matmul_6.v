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
  wire [2:0] t13 = {1'd0, multithreshold_4_y5} - {1'd0, multithreshold_4_y1};
  wire [3:0] t14_c = {2'd0, multithreshold_4_y2} + t12;
  wire [3:0] t14 = {t14_c[3:1], multithreshold_4_y2[0] ^ t12[0]};
  reg [3:0] t14_r1;
  wire [3:0] t15_c = {2'd0, multithreshold_4_y4} - {t13[2], t13};
  wire [3:0] t15 = {t15_c[3:1], multithreshold_4_y4[0] ^ t13[0]};
  wire [3:0] t16_c = {3'd0, multithreshold_4_y9} + t15;
  wire [3:0] t16 = {t16_c[3:1], multithreshold_4_y9 ^ t15[0]};
  wire [1:0] t17 = multithreshold_4_y5 + {1'd0, multithreshold_4_y9};
  wire t19_c = 1'd0 + 1'd1;
  wire [1:0] t19 = {t19_c, multithreshold_4_y0_r1};
  wire [2:0] t20_c = {t19[1], t19} - {1'd0, multithreshold_4_y1};
  wire [2:0] t20 = {t20_c[2:1], t19[0] ^ multithreshold_4_y1[0]};
  wire [2:0] t21 = {1'd0, multithreshold_4_y2} + {1'd0, multithreshold_4_y7};
  reg [2:0] t21_r1;
  wire [2:0] t22_c = {1'd0, multithreshold_4_y8} - {1'd0, t17};
  wire [2:0] t22 = {t22_c[2:1], multithreshold_4_y8[0] ^ t17[0]};
  wire [3:0] t23_c = {t20[2], t20} + {t22[2], t22};
  wire [3:0] t23 = {t23_c[3:1], t20[0] ^ t22[0]};
  reg [3:0] t23_r1;
  wire [3:0] t24 = {1'd0, t21_r1} + t23_r1;
  wire [2:0] t26_c = {2'd0, multithreshold_4_y3} + {1'd0, t17};
  wire [2:0] t26 = {t26_c[2:1], multithreshold_4_y3 ^ t17[0]};
  reg [2:0] t26_r1;
  wire [1:0] t27_c = t12[3:2] + 2'd1;
  wire [3:0] t27 = {t27_c, t12[1:0]};
  reg [3:0] t27_r1;
  wire [4:0] t28 = {1'd0, t27_r1} - {2'd0, t26_r1};
  wire t29_c = 1'd0 + 1'd1;
  wire [1:0] t29 = {t29_c, multithreshold_4_y3};
  wire [3:0] t30_c = {2'd0, multithreshold_4_y2} + {t10[2], t10};
  wire [3:0] t30 = {t30_c[3:1], multithreshold_4_y2[0] ^ t10[0]};
  wire [3:0] t31_c = {2'd0, t29} + t30;
  wire [3:0] t31 = {t31_c[3:1], t29[0] ^ t30[0]};
  wire [4:0] t32_c = {1'd0, t31} - {t16[3], t16};
  wire [4:0] t32 = {t32_c[4:1], t31[0] ^ t16[0]};
  reg [4:0] t32_r1;
  wire [1:0] t33_c = t16[3:2] + 2'd3;
  wire [3:0] t33 = {t33_c, t16[1:0]};
  reg [3:0] t33_r1;
  wire [4:0] t34 = {t14_r1[3], t14_r1} + {t33_r1[3], t33_r1};
  wire t35 = multithreshold_4_y3 + 1'd1;
  wire [2:0] t36_c = t13 + {{2{t35}}, t35};
  wire [2:0] t36 = {t36_c[2:1], t13[0] ^ t35};
  reg [2:0] t36_r1;
  wire [4:0] t37 = {t14_r1[3], t14_r1} + {{2{t36_r1[2]}}, t36_r1};
  assign result = {t37, t34, t32_r1, t28, t24};

  always @(posedge clk) begin
    t14_r1 <= t14;
    t21_r1 <= t21;
    t23_r1 <= t23;
    t26_r1 <= t26;
    t27_r1 <= t27;
    t32_r1 <= t32;
    t33_r1 <= t33;
    t36_r1 <= t36;
  end

endmodule
